//! Tables as Parquet: flat files, typed by their schema, the same bytes every time.
//!
//! Zstandard, statistics on, row groups of 131 072 rows. The file's metadata hold the name and
//! version of the schema and the unit of every column.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use polars::io::SerReader;
use polars::polars_utils::compression::ZstdLevel;
use polars::prelude::{
    DataFrame, KeyValueMetadata, ParquetCompression, ParquetReader, ParquetWriter, PolarsError,
    StatisticsOptions,
};

use super::atomic;
use crate::error::{Error, ErrorKind, Result};
use crate::table::{Schema, Table};

/// Rows of one row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Compression level; higher ones cost more time than they save bytes.
const ZSTD_LEVEL: i32 = 3;
/// Metadata key of the schema's name.
const TABLE_KEY: &str = "biomarker.table";
/// Metadata key of the schema's version.
const VERSION_KEY: &str = "biomarker.schema_version";
/// Metadata key of the units, a JSON object from column to unit.
const UNITS_KEY: &str = "biomarker.units";

/// Writes `table` to `path`.
///
/// # Errors
///
/// Those of [`atomic::write`].
pub fn write(path: &Path, table: &Table) -> Result<()> {
    let bytes = encode(table).map_err(|error| error.at_path(path))?;
    atomic::write(path, &bytes)
}

/// Reads a table of `schema`.
///
/// # Errors
///
/// `Missing` when there is no such file; `Format` when it is no Parquet file; `Mismatch` when it
/// holds another table, another version of it, or other columns.
pub fn read(path: &Path, schema: &'static Schema) -> Result<Table> {
    let bytes =
        std::fs::read(path).map_err(|error| Error::from_io(ErrorKind::Missing, path, &error))?;
    let (metadata, frame) = decode(bytes).map_err(|error| error.at_path(path))?;
    let value = |key: &str| metadata.get(key).cloned();
    let found = (value(TABLE_KEY), value(VERSION_KEY));
    let wanted = (Some(schema.name.to_owned()), Some(schema.version.to_string()));
    if found != wanted {
        let shown = |text: Option<String>| text.unwrap_or_else(|| "(none)".to_owned());
        return Err(Error::mismatch(format!(
            "file holds table `{}` version {}, not `{}` version {}",
            shown(found.0),
            shown(found.1),
            schema.name,
            schema.version
        ))
        .at_path(path)
        .hint("tables of different versions are not mixed: run the pipeline again"));
    }
    Table::from_frame(schema, &frame).map_err(|error| error.at_path(path))
}

/// Metadata and rows. The reader of polars panics on damaged pages; that ends here.
fn decode(bytes: Vec<u8>) -> Result<(BTreeMap<String, String>, DataFrame)> {
    let damaged = |reason: &str| {
        Error::format(format!("not a readable Parquet file: {reason}"))
            .hint("delete the file and run the pipeline again")
    };
    let read = move || -> Result<_, PolarsError> {
        let mut reader = ParquetReader::new(Cursor::new(bytes));
        let pairs = reader.get_metadata()?.key_value_metadata.clone().unwrap_or_default();
        let pairs = pairs.into_iter().filter_map(|pair| Some((pair.key, pair.value?)));
        Ok((pairs.collect(), reader.finish()?))
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(damaged(&error.to_string())),
        Err(_) => Err(damaged("its pages are damaged")),
    }
}

fn encode(table: &Table) -> Result<Vec<u8>> {
    let refused = |error: PolarsError| Error::internal(error.to_string());
    let frame = table.to_frame()?;
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(refused)?;
    let mut bytes = Cursor::new(Vec::new());
    let writer = ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(Some(level)))
        .with_statistics(StatisticsOptions::full())
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(metadata(table.schema())?)))
        .set_parallel(false);
    let mut writer = writer.batched(frame.schema()).map_err(refused)?;
    for start in (0..table.n_rows()).step_by(ROW_GROUP_ROWS) {
        writer.write_batch(&frame.slice(start as i64, ROW_GROUP_ROWS)).map_err(refused)?;
    }
    writer.finish().map_err(refused)?;
    drop(writer);
    Ok(bytes.into_inner())
}

fn metadata(schema: &Schema) -> Result<Vec<(String, String)>> {
    let units: serde_json::Map<String, serde_json::Value> = schema
        .columns
        .iter()
        .filter(|column| !column.unit.is_empty())
        .map(|column| (column.name.to_owned(), column.unit.into()))
        .collect();
    let units =
        serde_json::to_string(&units).map_err(|error| Error::internal(error.to_string()))?;
    Ok(vec![
        (TABLE_KEY.to_owned(), schema.name.to_owned()),
        (VERSION_KEY.to_owned(), schema.version.to_string()),
        (UNITS_KEY.to_owned(), units),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schemas::{EXCLUSIONS, HISTOGRAMS, RUNS};
    use crate::table::{SCHEMAS, Texts, Values};

    fn exclusions() -> Table {
        let mut table = Table::new(&EXCLUSIONS);
        for (reason, n) in [("no_signal", 3_i64), ("relative_uncertainty", 0)] {
            table
                .row()
                .text("participant_id", "sub-01")
                .text("region", "tumour, left \"µ\"")
                .text("parameter", "adc")
                .text("reason", reason)
                .integer("n_voxels", n)
                .integer("n_region", 10)
                .real("fraction", if n == 0 { f64::NAN } else { 0.3 })
                .finish()
                .unwrap();
        }
        table
    }

    #[test]
    fn a_table_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tables/exclusions.parquet");
        let table = exclusions();
        write(&path, &table).unwrap();
        assert_eq!(read(&path, &EXCLUSIONS).unwrap(), table);
    }

    #[test]
    fn every_table_can_be_written_without_rows() {
        let folder = tempfile::tempdir().unwrap();
        for schema in SCHEMAS {
            let path = folder.path().join(format!("{}.parquet", schema.name));
            write(&path, &Table::new(schema)).unwrap();
            assert_eq!(read(&path, schema).unwrap(), Table::new(schema));
        }
    }

    #[test]
    fn the_same_table_is_the_same_bytes() {
        let bytes = encode(&exclusions()).unwrap();
        assert_eq!(encode(&exclusions()).unwrap(), bytes);
        let n = ROW_GROUP_ROWS + 1;
        let many = || {
            let words = ["sub-01", "tumour", "adc", "mm^2/s", "naive"];
            let names = ["participant_id", "region", "parameter", "units", "selection"];
            let mut columns: Vec<(&str, Values)> = names
                .into_iter()
                .zip(words)
                .map(|(name, word)| (name, Texts::repeated(word, n).into()))
                .collect();
            let rising: Vec<i64> = (0..n as i64).collect();
            let edges: Vec<f64> = rising.iter().map(|&x| x as f64 / 7.0).collect();
            columns.push(("bin", rising.clone().into()));
            columns.push(("count", rising.into()));
            columns.push(("lower", edges.clone().into()));
            columns.push(("upper", edges.into()));
            Table::from_columns(&HISTOGRAMS, columns).unwrap()
        };
        let first = encode(&many()).unwrap();
        assert_eq!(encode(&many()).unwrap(), first);
        let mut reader = ParquetReader::new(Cursor::new(first));
        let metadata = reader.get_metadata().unwrap();
        let mut groups = Vec::new();
        for group in &metadata.row_groups {
            groups.push(group.num_rows());
        }
        assert_eq!(groups, [ROW_GROUP_ROWS, 1]);
    }

    #[test]
    fn name_version_and_units_stand_in_the_metadata() {
        let mut reader = ParquetReader::new(Cursor::new(encode(&exclusions()).unwrap()));
        let pairs = reader.get_metadata().unwrap().key_value_metadata.clone().unwrap();
        let value = |key: &str| {
            pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone()).unwrap()
        };
        assert_eq!((value(TABLE_KEY), value(VERSION_KEY)), ("exclusions".into(), "1".into()));
        let units = value(UNITS_KEY);
        assert_eq!(units, r#"{"n_voxels":"1","n_region":"1","fraction":"1"}"#);
    }

    #[test]
    fn another_table_and_broken_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write(&path, &exclusions()).unwrap();
        let error = read(&path, &RUNS).unwrap_err();
        assert_eq!(
            error.message(),
            "file holds table `exclusions` version 1, not `runs` version 1"
        );
        let whole = std::fs::read(&path).unwrap();
        for bytes in [&whole[..whole.len() / 2], b"PAR1", b""] {
            atomic::write(&path, bytes).unwrap();
            assert_eq!(read(&path, &EXCLUSIONS).unwrap_err().kind(), ErrorKind::Format);
        }
        // Neither of these is refused for sure; none may panic.
        for at in (0..whole.len()).step_by(5) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x55;
            drop(decode(flipped));
        }
        let absent = read(&folder.path().join("b.parquet"), &RUNS).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::Missing);
    }
}
