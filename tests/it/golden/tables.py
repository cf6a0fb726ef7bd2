"""Reads the files of the test `files_for_other_readers_are_written` with other programs.

BIOMARKER_TABLES_OUT=out cargo test --test it files_for_other_readers
python tests/it/golden/tables.py out      # needs pandas, pyarrow, polars, duckdb
"""

import pathlib
import sys

import duckdb
import pandas
import polars
import pyarrow.compute
import pyarrow.parquet

folder = pathlib.Path(sys.argv[1])
dictionary = pandas.read_csv(folder / "data_dictionary.tsv", sep="\t", keep_default_na=False)
for path in sorted(folder.glob("*.parquet")):
    expected = dictionary[dictionary.table == path.stem]
    file = pyarrow.parquet.ParquetFile(path)
    schema = file.schema_arrow
    types = [str(t).replace("large_", "").replace("string_view", "string") for t in schema.types]
    types = ["boolean" if t == "bool" else {"float": "float32", "double": "float64"}.get(t, t) for t in types]
    assert schema.names == list(expected.column), path
    assert types == list(expected.type), (path, types)
    metadata = {k.decode(): v.decode() for k, v in file.metadata.metadata.items()}
    assert metadata["biomarker.table"] == path.stem
    assert metadata["biomarker.schema_version"] == str(expected.version.iloc[0])
    table = file.read()
    frames = [table.to_pandas(), polars.read_parquet(path).to_pandas(), pandas.read_parquet(path)]
    nulls = [sum(int(f[c].isna().sum()) for c in f) for f in frames]
    in_duckdb = duckdb.sql(f"select * from '{path}'")
    assert in_duckdb.columns == schema.names
    nulls.append(sum(duckdb.sql(f"select count(*) - count({c}) from '{path}'").fetchall()[0][0] for c in
                     ('"' + name + '"' for name in schema.names)))
    assert len(set(nulls)) == 1, (path, nulls)
    groups = [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)]
    codecs = {file.metadata.row_group(g).column(c).compression
              for g in range(file.metadata.num_row_groups) for c in range(file.metadata.num_columns)}
    print(path.stem, "rows", table.num_rows, "nulls", nulls[0], "groups", groups, "codecs", codecs or "-",
          "duckdb", sorted({str(t) for t in in_duckdb.types}))

voxels = folder / "voxels.parquet"
n = 300_000
exact = (n * (n - 1) // 2 - 10 * ((n // 10) * (n // 10 - 1) // 2)) / 8
sums = {
    "pandas": float(pandas.read_parquet(voxels).value.astype("float64").sum()),
    "polars": polars.read_parquet(voxels)["value"].cast(polars.Float64).sum(),
    "duckdb": duckdb.sql(f"select sum(value::double) from '{voxels}'").fetchall()[0][0],
    "pyarrow": pyarrow.compute.sum(pyarrow.parquet.read_table(voxels)["value"].cast("float64")).as_py(),
}
print("sum of values", sums, "exact", exact)
assert all(abs(value - exact) < 1e-6 * exact for value in sums.values())
column = pyarrow.parquet.ParquetFile(voxels).metadata.row_group(0).column(11)
print("statistics of", column.path_in_schema, column.statistics.min, column.statistics.max,
      column.statistics.null_count)
assert column.statistics.null_count > 0 and column.statistics.has_min_max

tsv = pandas.read_csv(folder / "regions.tsv", sep="\t", na_values=["n/a"],
                      keep_default_na=False)
columnar = pandas.read_parquet(folder / "regions.parquet")
assert (tsv["mean"] == columnar["mean"]).all() and list(columnar["mean"]) == [0.1 + 0.2, -1e-7, 1e300]
assert tsv.isna().sum().sum() == columnar.isna().sum().sum()
assert columnar.exclusion_reason[0] == "not defined: sd" and columnar.participant_id[0] == "sub-01"
print("regions: TSV equals Parquet,", int(columnar.isna().sum().sum()), "nulls")
