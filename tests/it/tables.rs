//! Tables from rows to files and back, as other programs will read them.
#![expect(clippy::disallowed_methods, reason = "tests look at the bytes of files")]
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use biomarker::io::text_table::TextTable;
use biomarker::io::{parquet, text_table};
use biomarker::table::schemas::{PAIRED, REGIONS, VOXELS};
use biomarker::table::{Kind, SCHEMAS, Table, Texts, Values};

/// Sums that a reader of the file must find again: `sum` over `n` voxels of i / 8, i < `n`, where
/// every tenth is missing.
fn voxels(n: usize) -> Table {
    let value = |i: usize| if i.is_multiple_of(10) { f32::NAN } else { i as f32 / 8.0 };
    let text = |word: &str| Values::from(Texts::repeated(word, n));
    let status = |i: usize| if i.is_multiple_of(10) { "no_signal" } else { "converged" };
    let columns = vec![
        ("participant_id", text("sub-01")),
        ("session_id", text("ses-pre")),
        ("region", text("tumour")),
        ("parameter", text("adc")),
        ("units", text("mm^2/s")),
        ("i", (0..n as i64).collect::<Vec<_>>().into()),
        ("j", vec![1_i64; n].into()),
        ("k", vec![2_i64; n].into()),
        ("value", (0..n).map(value).collect::<Vec<_>>().into()),
        ("status", (0..n).map(status).collect::<Texts>().into()),
        ("keep", (0..n).map(|i| i % 3 == 0).collect::<Vec<_>>().into()),
    ];
    Table::from_columns(&VOXELS, columns).unwrap()
}

fn regions() -> Table {
    let mut table = Table::new(&REGIONS);
    for (participant, mean, sd) in
        [("sub-01", 0.1 + 0.2, f64::NAN), ("sub-02", -1e-7, 0.25), ("sub-03", 1e300, 0.5)]
    {
        table
            .row()
            .text("participant_id", participant)
            .text("region", "femoral cartilage")
            .text("parameter", "t2")
            .text("units", "s")
            .text("selection", "gated")
            .integer("n", 1_usize)
            .real("mean", mean)
            .real("sd", sd)
            .finish()
            .unwrap();
    }
    table
}

#[test]
fn parquet_and_tsv_hold_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let table = regions();
    let (columnar, text) = (folder.path().join("r.parquet"), folder.path().join("r.tsv"));
    parquet::write(&columnar, &table).unwrap();
    text_table::write(&text, &table).unwrap();
    let read = parquet::read(&columnar, &REGIONS).unwrap();
    assert_eq!(read, table);
    let tsv = TextTable::read(&text).unwrap();
    for (at, column) in REGIONS.columns.iter().enumerate() {
        assert_eq!(tsv.header()[at], column.name);
        for row in 0..table.n_rows() {
            let cell = tsv.get(row, column.name);
            let number = || cell.map(|cell| cell.parse::<f64>().unwrap().to_bits());
            match &read.columns()[at] {
                Values::Real(rows) => assert_eq!(number(), rows[row].map(f64::to_bits)),
                Values::Integer(rows) => {
                    assert_eq!(cell.map(|cell| cell.parse().unwrap()), rows[row]);
                }
                Values::Text(rows) => assert_eq!(cell, rows.get(row)),
                other => panic!("{:?} has no place in regions", other.kind()),
            }
        }
    }
}

#[test]
fn two_writes_are_the_same_bytes_over_several_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |name: &str| {
        let path = folder.path().join(name);
        parquet::write(&path, &voxels(300_000)).unwrap();
        std::fs::read(&path).unwrap()
    };
    assert_eq!(bytes("a.parquet"), bytes("b.parquet"));
}

#[test]
fn many_voxels_read_back_with_their_sum() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.parquet");
    let n = 150_000;
    parquet::write(&path, &voxels(n)).unwrap();
    let read = parquet::read(&path, &VOXELS).unwrap();
    assert_eq!(read, voxels(n));
    let Values::Single(values) = read.column("value").unwrap() else { panic!("not 32-bit") };
    let sum: f64 = values.iter().flatten().map(|&value| f64::from(value)).sum();
    // All i below n, less every tenth, each divided by 8: exact in doubles.
    let expected = ((n * (n - 1) / 2) - 10 * ((n / 10) * (n / 10 - 1) / 2)) as f64 / 8.0;
    assert!((sum - expected).abs() < 0.5, "{sum} {expected}");
    assert_eq!(values.iter().filter(|value| value.is_none()).count(), n / 10);
}

#[test]
fn tables_of_several_participants_join_in_order() {
    let mut all = Table::new(&REGIONS);
    all.append(&regions()).unwrap();
    all.append(&regions()).unwrap();
    let ids: Vec<_> = all.texts("participant_id").unwrap().iter().flatten().collect();
    assert_eq!(ids, ["sub-01", "sub-02", "sub-03", "sub-01", "sub-02", "sub-03"]);
    assert!(all.append(&Table::new(&PAIRED)).is_err());
}

#[test]
fn schemas_offer_only_what_every_reader_knows() {
    let names: Vec<&str> = SCHEMAS.iter().map(|schema| schema.name).collect();
    assert_eq!(
        names,
        [
            "voxels",
            "regions",
            "histograms",
            "habitats",
            "exclusions",
            "tumours",
            "classes",
            "sweeps",
            "thickness",
            "knees",
            "depth_profiles",
            "flat_maps",
            "paired",
            "repeatability",
            "transforms",
            "qc",
            "runs"
        ]
    );
    let arrow: Vec<&str> =
        [Kind::Text, Kind::Integer, Kind::Real, Kind::Single, Kind::Boolean].map(Kind::name).into();
    assert_eq!(arrow, ["string", "int64", "float64", "float32", "boolean"]);
}

/// Set `BIOMARKER_TABLES_OUT` to a folder to keep the files that `golden/tables.py` reads with other
/// programs.
#[test]
fn files_for_other_readers_are_written() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("BIOMARKER_TABLES_OUT")
        .map_or_else(|| temporary.path().to_owned(), std::path::PathBuf::from);
    for schema in SCHEMAS {
        parquet::write(&folder.join(format!("{}.parquet", schema.name)), &Table::new(schema))
            .unwrap();
    }
    parquet::write(&folder.join("regions.parquet"), &regions()).unwrap();
    text_table::write(&folder.join("regions.tsv"), &regions()).unwrap();
    parquet::write(&folder.join("voxels.parquet"), &voxels(300_000)).unwrap();
    text_table::write_data_dictionary(&folder.join("data_dictionary.tsv")).unwrap();
    assert!(folder.join("data_dictionary.tsv").is_file());
}
