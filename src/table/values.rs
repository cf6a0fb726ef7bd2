//! Tables as typed columns.

use std::collections::BTreeMap;

use super::row::Row;
use super::{Kind, Schema};
use crate::error::{Error, Result};

/// Column that says why numbers of its row are missing.
pub(super) const REASON: &str = "exclusion_reason";

/// Text of one column; each distinct text is stored once.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    codes: Vec<Option<u32>>,
    distinct: Vec<String>,
    code_of: BTreeMap<String, u32>,
}

impl Texts {
    /// `text` in `n` rows.
    pub fn repeated(text: &str, n: usize) -> Self {
        let mut texts = Self::default();
        let code = texts.code(text);
        texts.codes = vec![code; n];
        texts
    }

    /// Adds one row; empty text is missing.
    pub fn push(&mut self, text: Option<&str>) {
        let code = text.and_then(|text| self.code(text));
        self.codes.push(code);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Text of a row; `None` where it is missing or there is no such row.
    pub fn get(&self, row: usize) -> Option<&str> {
        let code = (*self.codes.get(row)?)?;
        self.distinct.get(code as usize).map(String::as_str)
    }

    /// All rows in their order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.len()).map(|row| self.get(row))
    }

    fn set(&mut self, row: usize, text: &str) {
        let code = self.code(text);
        if let Some(slot) = self.codes.get_mut(row) {
            *slot = code;
        }
    }

    fn code(&mut self, text: &str) -> Option<u32> {
        if text.is_empty() {
            return None;
        }
        if let Some(&code) = self.code_of.get(text) {
            return Some(code);
        }
        let code = self.distinct.len() as u32;
        self.distinct.push(text.to_owned());
        self.code_of.insert(text.to_owned(), code);
        Some(code)
    }
}

impl PartialEq for Texts {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> FromIterator<Option<&'a str>> for Texts {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(rows: I) -> Self {
        let mut texts = Self::default();
        rows.into_iter().for_each(|text| texts.push(text));
        texts
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<I: IntoIterator<Item = &'a str>>(rows: I) -> Self {
        rows.into_iter().map(Some).collect()
    }
}

/// Values of one column, one per row; `None` is missing.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Of [`Kind::Text`].
    Text(Texts),
    /// Of [`Kind::Integer`].
    Integer(Vec<Option<i64>>),
    /// Of [`Kind::Real`]; finite once in a table.
    Real(Vec<Option<f64>>),
    /// Of [`Kind::Single`]; finite once in a table.
    Single(Vec<Option<f32>>),
    /// Of [`Kind::Boolean`].
    Boolean(Vec<Option<bool>>),
}

impl Values {
    /// `n` missing values.
    pub fn missing(kind: Kind, n: usize) -> Self {
        match kind {
            Kind::Text => Self::Text(Texts::repeated("", n)),
            Kind::Integer => Self::Integer(vec![None; n]),
            Kind::Real => Self::Real(vec![None; n]),
            Kind::Single => Self::Single(vec![None; n]),
            Kind::Boolean => Self::Boolean(vec![None; n]),
        }
    }

    /// Kind of the column they fit in.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Integer(_) => Kind::Integer,
            Self::Real(_) => Kind::Real,
            Self::Single(_) => Kind::Single,
            Self::Boolean(_) => Kind::Boolean,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(rows) => rows.len(),
            Self::Integer(rows) => rows.len(),
            Self::Real(rows) => rows.len(),
            Self::Single(rows) => rows.len(),
            Self::Boolean(rows) => rows.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the value of `row` is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Text(rows) => rows.get(row).is_none(),
            Self::Integer(rows) => rows.get(row).copied().flatten().is_none(),
            Self::Real(rows) => rows.get(row).copied().flatten().is_none(),
            Self::Single(rows) => rows.get(row).copied().flatten().is_none(),
            Self::Boolean(rows) => rows.get(row).copied().flatten().is_none(),
        }
    }

    /// Turns what is not finite into missing; returns the rows where it was so.
    fn drop_non_finite(&mut self) -> Vec<usize> {
        fn drop_in<T: Copy>(rows: &mut [Option<T>], finite: impl Fn(&T) -> bool) -> Vec<usize> {
            let mut dropped = Vec::new();
            for (row, value) in rows.iter_mut().enumerate() {
                if value.as_ref().is_some_and(|value| !finite(value)) {
                    *value = None;
                    dropped.push(row);
                }
            }
            dropped
        }
        match self {
            Self::Real(rows) => drop_in(rows, |value| value.is_finite()),
            Self::Single(rows) => drop_in(rows, |value| value.is_finite()),
            Self::Text(_) | Self::Integer(_) | Self::Boolean(_) => Vec::new(),
        }
    }

    fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Text(rows), Self::Text(more)) => more.iter().for_each(|text| rows.push(text)),
            (Self::Integer(rows), Self::Integer(more)) => rows.extend_from_slice(more),
            (Self::Real(rows), Self::Real(more)) => rows.extend_from_slice(more),
            (Self::Single(rows), Self::Single(more)) => rows.extend_from_slice(more),
            (Self::Boolean(rows), Self::Boolean(more)) => rows.extend_from_slice(more),
            _ => {}
        }
    }
}

impl From<Texts> for Values {
    fn from(rows: Texts) -> Self {
        Self::Text(rows)
    }
}

impl From<Vec<i64>> for Values {
    fn from(rows: Vec<i64>) -> Self {
        Self::Integer(rows.into_iter().map(Some).collect())
    }
}

impl From<Vec<f64>> for Values {
    fn from(rows: Vec<f64>) -> Self {
        Self::Real(rows.into_iter().map(Some).collect())
    }
}

impl From<Vec<f32>> for Values {
    fn from(rows: Vec<f32>) -> Self {
        Self::Single(rows.into_iter().map(Some).collect())
    }
}

impl From<Vec<bool>> for Values {
    fn from(rows: Vec<bool>) -> Self {
        Self::Boolean(rows.into_iter().map(Some).collect())
    }
}

/// Rows of one schema, stored as columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    schema: &'static Schema,
    n_rows: usize,
    /// One per column of the schema, all of the column's kind and of `n_rows` rows.
    columns: Vec<Values>,
}

impl Table {
    /// A table without rows.
    pub fn new(schema: &'static Schema) -> Self {
        let columns = schema.columns.iter().map(|column| Values::missing(column.kind, 0)).collect();
        Self { schema, n_rows: 0, columns }
    }

    /// A table from whole columns, for the many rows of `voxels`; a column that is not given is
    /// missing in every row. What is not finite becomes missing, and `exclusion_reason` names its
    /// column where no reason is given.
    ///
    /// # Errors
    ///
    /// `Internal` when a name is unknown or given twice, a kind or a length differs, or a required
    /// column has a missing value.
    pub fn from_columns(schema: &'static Schema, given: Vec<(&str, Values)>) -> Result<Self> {
        let n_rows = given.first().map_or(0, |(_, values)| values.len());
        let mut slots: Vec<Option<Values>> = vec![None; schema.columns.len()];
        for (name, values) in given {
            let (slot, column) = schema
                .position(name)
                .and_then(|at| slots.get_mut(at).zip(schema.columns.get(at)))
                .ok_or_else(|| no_such_column(schema, name))?;
            if values.kind() != column.kind || values.len() != n_rows || slot.is_some() {
                return Err(Error::internal(format!(
                    "{} {} values do not fit a {} column of {n_rows} rows, each given once",
                    values.len(),
                    values.kind().name(),
                    column.kind.name()
                ))
                .at_field(format!("{}.{name}", schema.name)));
            }
            *slot = Some(values);
        }
        let columns: Vec<Values> = slots
            .into_iter()
            .zip(schema.columns)
            .map(|(slot, column)| slot.unwrap_or_else(|| Values::missing(column.kind, n_rows)))
            .collect();
        let mut table = Self { schema, n_rows, columns };
        table.explain_non_finite();
        table.check_required()?;
        Ok(table)
    }

    /// Starts a row; nothing is added before [`Row::finish`].
    pub fn row(&mut self) -> Row<'_> {
        Row::new(self)
    }

    /// Adds the rows of `other` behind its own.
    ///
    /// # Errors
    ///
    /// `Internal` when the schemas differ.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if self.schema != other.schema {
            return Err(Error::internal(format!(
                "rows of `{}` cannot join `{}`",
                other.schema.name, self.schema.name
            )));
        }
        self.columns.iter_mut().zip(&other.columns).for_each(|(own, more)| own.append(more));
        self.n_rows += other.n_rows;
        Ok(())
    }

    /// Its schema.
    pub fn schema(&self) -> &'static Schema {
        self.schema
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// All columns in the order of the schema.
    pub fn columns(&self) -> &[Values] {
        &self.columns
    }

    /// The values of a column.
    ///
    /// # Errors
    ///
    /// `Internal` when the schema has no such column.
    pub fn column(&self, name: &str) -> Result<&Values> {
        self.schema
            .position(name)
            .and_then(|at| self.columns.get(at))
            .ok_or_else(|| no_such_column(self.schema, name))
    }

    /// The values of a column of text.
    ///
    /// # Errors
    ///
    /// `Internal` when there is no such column or it is of another kind.
    pub fn texts(&self, name: &str) -> Result<&Texts> {
        match self.column(name)? {
            Values::Text(rows) => Ok(rows),
            other => Err(wrong_kind(self.schema, name, other.kind())),
        }
    }

    /// The values of a column of 64-bit numbers.
    ///
    /// # Errors
    ///
    /// `Internal` when there is no such column or it is of another kind.
    pub fn reals(&self, name: &str) -> Result<&[Option<f64>]> {
        match self.column(name)? {
            Values::Real(rows) => Ok(rows),
            other => Err(wrong_kind(self.schema, name, other.kind())),
        }
    }

    /// The values of a column of integers.
    ///
    /// # Errors
    ///
    /// `Internal` when there is no such column or it is of another kind.
    pub fn integers(&self, name: &str) -> Result<&[Option<i64>]> {
        match self.column(name)? {
            Values::Integer(rows) => Ok(rows),
            other => Err(wrong_kind(self.schema, name, other.kind())),
        }
    }

    /// One value per column, already checked by [`Row`].
    pub(super) fn push_one_row(&mut self, row: &[Values]) {
        self.columns.iter_mut().zip(row).for_each(|(own, value)| own.append(value));
        self.n_rows += 1;
    }

    fn explain_non_finite(&mut self) {
        let mut undefined: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (column, values) in self.schema.columns.iter().zip(&mut self.columns) {
            for row in values.drop_non_finite() {
                undefined.entry(row).or_default().push(column.name);
            }
        }
        let reasons = self.schema.position(REASON).and_then(|at| self.columns.get_mut(at));
        if let Some(Values::Text(reasons)) = reasons {
            for (row, names) in undefined {
                if reasons.get(row).is_none() {
                    reasons.set(row, &not_defined(&names));
                }
            }
        }
    }

    fn check_required(&self) -> Result<()> {
        for (column, values) in self.schema.columns.iter().zip(&self.columns) {
            let missing = (0..self.n_rows).find(|&row| values.is_missing(row));
            if let Some(row) = missing.filter(|_| column.required) {
                return Err(Error::internal(format!("row {row} has no value"))
                    .at_field(format!("{}.{}", self.schema.name, column.name)));
            }
        }
        Ok(())
    }
}

/// The reason of a row that gives none, by the columns whose numbers were not finite.
pub(super) fn not_defined(columns: &[&str]) -> String {
    format!("not defined: {}", columns.join(", "))
}

pub(super) fn no_such_column(schema: &Schema, name: &str) -> Error {
    Error::internal(format!("table `{}` has no column `{name}`", schema.name))
}

fn wrong_kind(schema: &Schema, name: &str, kind: Kind) -> Error {
    Error::internal(format!("the column holds {} values", kind.name()))
        .at_field(format!("{}.{name}", schema.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schemas::{EXCLUSIONS, VOXELS};

    fn voxels() -> Vec<(&'static str, Values)> {
        vec![
            ("participant_id", Texts::repeated("sub-01", 3).into()),
            ("region", Texts::repeated("tumour", 3).into()),
            ("parameter", Texts::repeated("adc", 3).into()),
            ("units", Texts::repeated("mm^2/s", 3).into()),
            ("i", vec![0_i64, 1, 2].into()),
            ("j", vec![0_i64; 3].into()),
            ("k", vec![0_i64; 3].into()),
            ("value", vec![1.0_f32, f32::NAN, f32::INFINITY].into()),
            (
                "status",
                ["converged", "no_signal", "converged"].into_iter().collect::<Texts>().into(),
            ),
            ("keep", vec![true, false, true].into()),
        ]
    }

    #[test]
    fn whole_columns_become_a_table_without_nan() {
        let table = Table::from_columns(&VOXELS, voxels()).unwrap();
        assert_eq!(table.n_rows(), 3);
        assert_eq!(*table.column("value").unwrap(), Values::Single(vec![Some(1.0), None, None]));
        assert_eq!(*table.column("depth").unwrap(), Values::Single(vec![None; 3]));
        assert_eq!(table.texts("status").unwrap().get(1), Some("no_signal"));
        let reasons: Vec<_> = table.texts("exclusion_reason").unwrap().iter().collect();
        assert_eq!(reasons, [None, Some("not defined: value"), Some("not defined: value")]);
        let mut columns = voxels();
        let reason = [None, Some("no signal"), None].into_iter().collect::<Texts>();
        columns.push(("exclusion_reason", reason.into()));
        let table = Table::from_columns(&VOXELS, columns).unwrap();
        assert_eq!(table.texts("exclusion_reason").unwrap().get(1), Some("no signal"));
    }

    #[test]
    fn columns_that_do_not_fit_are_refused() {
        let refused = |change: (&'static str, Values)| {
            let mut columns = voxels();
            columns.push(change);
            Table::from_columns(&VOXELS, columns).unwrap_err().to_string()
        };
        assert_eq!(
            refused(("colour", vec![1_i64].into())),
            "table `voxels` has no column `colour`"
        );
        assert_eq!(
            refused(("depth", vec![1.0_f32].into())),
            "`voxels.depth`: 1 float32 values do not fit a float32 column of 3 rows, each given once"
        );
        assert!(refused(("depth", vec![1.0_f64; 3].into())).contains("3 float64 values"));
        assert!(refused(("i", vec![1_i64; 3].into())).contains("each given once"));
        let mut columns = voxels();
        columns.retain(|(name, _)| *name != "units");
        let error = Table::from_columns(&VOXELS, columns).unwrap_err();
        assert_eq!(error.to_string(), "`voxels.units`: row 0 has no value");
    }

    #[test]
    fn tables_of_one_schema_are_joined_in_order() {
        let mut table = Table::from_columns(&VOXELS, voxels()).unwrap();
        table.append(&Table::from_columns(&VOXELS, voxels()).unwrap()).unwrap();
        assert_eq!(table.n_rows(), 6);
        assert_eq!(table.integers("i").unwrap()[3..], [Some(0), Some(1), Some(2)]);
        assert_eq!(table.texts("region").unwrap().get(5), Some("tumour"));
        let error = table.append(&Table::new(&EXCLUSIONS)).unwrap_err();
        assert_eq!(error.to_string(), "rows of `exclusions` cannot join `voxels`");
        assert!(table.reals("value").unwrap_err().message().contains("float32"));
    }

    #[test]
    fn equal_texts_are_equal_however_they_were_collected() {
        let once: Texts = [Some("b"), None, Some("a")].into_iter().collect();
        let mut again = Texts::repeated("a", 0);
        for text in [Some("b"), Some(""), Some("a")] {
            again.push(text);
        }
        assert_eq!(once, again);
        assert_eq!(once.iter().flatten().collect::<Vec<_>>(), ["b", "a"]);
    }
}
