//! Tab-separated tables as BIDS writes them: one header line, `n/a` for what is missing, UTF-8.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{atomic, text_file};
use crate::error::{Error, Result};
use crate::table::{SCHEMAS, Table, Values};

/// No table of text is larger, bytes.
const MAX_BYTES: u64 = 64 << 20;
/// What stands for a missing value.
const MISSING: &str = "n/a";

/// A table as read: names of columns, and texts that may be missing.
#[derive(Debug, Clone, PartialEq)]
pub struct TextTable {
    path: PathBuf,
    header: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl TextTable {
    /// Reads a table; empty lines are skipped, spaces around a value are dropped, and `n/a` and
    /// empty values are missing.
    ///
    /// # Errors
    ///
    /// `Missing` when there is no such file; `Format` when it is not UTF-8, has no header, a column
    /// without a name or with the name of another, or a row of another length.
    pub fn read(path: &Path) -> Result<Self> {
        let text = text_file::read(path, MAX_BYTES)?;
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (line, first) =
            lines.next().ok_or_else(|| Error::format("the table is empty").at_path(path))?;
        let header: Vec<String> = first.split('\t').map(|name| name.trim().to_owned()).collect();
        let distinct: BTreeSet<&String> = header.iter().collect();
        if distinct.len() < header.len() || header.iter().any(String::is_empty) {
            return Err(Error::format("every column needs a name of its own")
                .at_path(path)
                .at_position(line + 1, 1));
        }
        let mut rows = Vec::new();
        for (line, content) in lines {
            let row: Vec<Option<String>> = content.split('\t').map(value).collect();
            if row.len() != header.len() {
                return Err(Error::format(format!(
                    "row has {} values but the header has {} columns",
                    row.len(),
                    header.len()
                ))
                .at_path(path)
                .at_position(line + 1, 1)
                .hint("columns are set apart by one tab; what is missing is n/a"));
            }
            rows.push(row);
        }
        Ok(Self { path: path.to_owned(), header, rows })
    }

    /// The file it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// A value; `None` where it is missing or there is no such row or column.
    pub fn get(&self, row: usize, column: &str) -> Option<&str> {
        let column = self.header.iter().position(|name| name == column)?;
        self.rows.get(row)?.get(column)?.as_deref()
    }
}

fn value(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty() && text != MISSING).then(|| text.to_owned())
}

/// Writes a table: its columns in order, missing as `n/a`, floats as the shortest text that reads
/// back as the same number. Tabs and line ends inside a text become spaces here (Parquet keeps
/// them).
///
/// # Errors
///
/// Those of [`atomic::write`].
pub fn write(path: &Path, table: &Table) -> Result<()> {
    let names: Vec<&str> = table.schema().columns.iter().map(|column| column.name).collect();
    let mut text = names.join("\t");
    text.push('\n');
    for row in 0..table.n_rows() {
        for (column, values) in table.columns().iter().enumerate() {
            if column > 0 {
                text.push('\t');
            }
            text.push_str(cell(values, row).as_deref().unwrap_or(MISSING));
        }
        text.push('\n');
    }
    atomic::write(path, text.as_bytes())
}

fn cell(values: &Values, row: usize) -> Option<String> {
    fn at<T: Copy>(rows: &[Option<T>], row: usize) -> Option<T> {
        rows.get(row).copied().flatten()
    }
    match values {
        Values::Text(rows) => rows.get(row).map(plain),
        Values::Integer(rows) => at(rows, row).map(|value| value.to_string()),
        Values::Real(rows) => at(rows, row).map(|value| format!("{value:?}")),
        Values::Single(rows) => at(rows, row).map(|value| format!("{value:?}")),
        Values::Boolean(rows) => at(rows, row).map(|value| value.to_string()),
    }
}

fn plain(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Writes the data dictionary: one row per table and column, from all schemas.
///
/// # Errors
///
/// Those of [`atomic::write`].
pub fn write_data_dictionary(path: &Path) -> Result<()> {
    let mut text = String::from("table\tversion\trow\tcolumn\ttype\tunit\trequired\tdescription\n");
    for schema in SCHEMAS {
        for column in schema.columns {
            let unit = if column.unit.is_empty() { MISSING } else { column.unit };
            let cells = [
                schema.name,
                &schema.version.to_string(),
                schema.row,
                column.name,
                column.kind.name(),
                unit,
                if column.required { "true" } else { "false" },
                column.description,
            ];
            text.push_str(&cells.join("\t"));
            text.push('\n');
        }
    }
    atomic::write(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schemas::{EXCLUSIONS, HABITATS};

    fn read(text: &str) -> Result<TextTable> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        atomic::write(&path, text.as_bytes()).unwrap();
        TextTable::read(&path)
    }

    #[test]
    fn a_table_is_read_with_its_missing_values() {
        let table = read("participant_id\tclass \r\nsub-01\tNB\r\n\r\nsub-02\tn/a\r\n").unwrap();
        assert_eq!(table.header(), ["participant_id", "class"]);
        assert_eq!(table.n_rows(), 2);
        assert_eq!(table.get(0, "class"), Some("NB"));
        assert_eq!(table.get(1, "class"), None);
        assert_eq!(table.get(0, "age"), None);
        assert_eq!(table.get(9, "class"), None);
    }

    #[test]
    fn rows_of_another_length_are_named_by_their_line() {
        let error = read("a\tb\n1\t2\n3\n").unwrap_err();
        assert_eq!(error.message(), "row has 1 values but the header has 2 columns");
        assert_eq!(error.position(), Some((3, 1)));
        assert_eq!(read("").unwrap_err().message(), "the table is empty");
        assert!(read("a\ta\n").unwrap_err().message().contains("name of its own"));
        assert!(read("a\t\n").unwrap_err().message().contains("name of its own"));
    }

    #[test]
    fn values_are_written_to_read_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("habitats.tsv");
        let mut table = Table::new(&HABITATS);
        table
            .row()
            .text("participant_id", "sub-01")
            .text("region", "left\ttumour\n")
            .text("parameter", "adc")
            .text("units", "mm^2/s")
            .text("algorithm", "mixture")
            .integer("k", 2)
            .integer("habitat", 1)
            .boolean("reported", true)
            .integer("n", 12)
            .real("fraction", 0.1 + 0.2)
            .real("mean", 1e-7)
            .real("sd", f64::NAN)
            .finish()
            .unwrap();
        write(&path, &table).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with('\n') && !text.contains('\r') && !text.contains("NaN"));
        let read = TextTable::read(&path).unwrap();
        assert_eq!(read.get(0, "fraction"), Some("0.30000000000000004"));
        assert_eq!(read.get(0, "mean").unwrap().parse(), Ok(1e-7));
        assert_eq!(read.get(0, "reported"), Some("true"));
        assert_eq!(read.get(0, "region"), Some("left tumour"));
        assert_eq!(read.get(0, "session_id"), None);
        assert_eq!(read.get(0, "exclusion_reason"), Some("not defined: sd"));
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exclusions.tsv");
        write(&path, &Table::new(&EXCLUSIONS)).unwrap();
        let read = TextTable::read(&path).unwrap();
        assert_eq!((read.header().len(), read.n_rows()), (EXCLUSIONS.columns.len(), 0));
    }

    #[test]
    fn the_data_dictionary_has_one_row_per_column_of_every_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data_dictionary.tsv");
        write_data_dictionary(&path).unwrap();
        let read = TextTable::read(&path).unwrap();
        let n_columns: usize = SCHEMAS.iter().map(|schema| schema.columns.len()).sum();
        assert_eq!(read.n_rows(), n_columns);
        assert!((0..read.n_rows()).all(|row| read.get(row, "description").is_some()));
    }
}
