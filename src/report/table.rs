//! Tables on a page, already formatted.

/// A table on a page.
#[derive(Debug, Clone, Default)]
pub struct PageTable {
    /// Heading.
    pub title: String,
    /// Sentence under it.
    pub caption: String,
    /// Column names.
    pub columns: Vec<String>,
    /// Rows as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// Relative address it leads to; empty where it leads nowhere.
    pub link: String,
    /// Whether it is shown in red.
    pub is_alarming: bool,
}

impl Cell {
    /// Text that leads to `link`.
    pub fn linked(text: impl Into<String>, link: impl Into<String>) -> Self {
        Self { text: text.into(), link: link.into(), is_alarming: false }
    }

    /// Text in red.
    pub fn alarming(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_alarming: true, ..Self::default() }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}
