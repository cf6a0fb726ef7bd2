//! What a table looks like: its columns, their kinds and units.

/// Kind of the values of a column; every reader of Parquet knows all five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// UTF-8 text; empty text is missing.
    Text,
    /// 64-bit signed integer.
    Integer,
    /// 64-bit float, finite.
    Real,
    /// 32-bit float, finite; for the columns of voxels.
    Single,
    /// True or false.
    Boolean,
}

impl Kind {
    /// Name in the data dictionary, as Arrow spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer => "int64",
            Self::Real => "float64",
            Self::Single => "float32",
            Self::Boolean => "boolean",
        }
    }
}

/// One column of a [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Name in every file, lower case with underscores.
    pub name: &'static str,
    /// Kind of its values.
    pub kind: Kind,
    /// Unit; empty where there is none, `units` where the row's column `units` says it.
    pub unit: &'static str,
    /// What it holds, one phrase.
    pub description: &'static str,
    /// Whether every row must have a value.
    pub required: bool,
}

impl Column {
    /// A column of text.
    pub const fn text(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: Kind::Text, unit: "", description, required: false }
    }

    /// A column of true and false.
    pub const fn boolean(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: Kind::Boolean, unit: "", description, required: false }
    }

    /// A column of counts or codes.
    pub const fn integer(name: &'static str, description: &'static str) -> Self {
        Self { name, kind: Kind::Integer, unit: "1", description, required: false }
    }

    /// A column of 64-bit numbers in `unit`.
    pub const fn real(name: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self { name, kind: Kind::Real, unit, description, required: false }
    }

    /// A column of 32-bit numbers in `unit`.
    pub const fn single(name: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self { name, kind: Kind::Single, unit, description, required: false }
    }

    /// The same column, in which every row must have a value.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// The columns of one table, with the version that its files carry.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    /// Name of the table and stem of its files.
    pub name: &'static str,
    /// Rises with every change of a column's name, kind, unit or meaning.
    pub version: u32,
    /// What one row is.
    pub row: &'static str,
    /// All columns in the order of the files.
    pub columns: &'static [Column],
}

impl Schema {
    /// Position of a column; `None` where there is no such column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
