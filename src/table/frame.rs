//! Tables as polars frames, and back.

use polars::prelude::{
    Column as FrameColumn, DataFrame, DataType, IntoColumn, NamedFrom, PlSmallStr, PolarsError,
    Series,
};

use super::{Kind, Schema, Table, Texts, Values};
use crate::error::{Error, Result};

impl Table {
    /// The table as a polars frame: the same columns, missing as null.
    ///
    /// # Errors
    ///
    /// `Internal` when polars refuses, which it has no reason to.
    pub fn to_frame(&self) -> Result<DataFrame> {
        let columns = self
            .schema()
            .columns
            .iter()
            .zip(self.columns())
            .map(|(column, values)| series(column.name.into(), values).into_column())
            .collect();
        DataFrame::new(self.n_rows(), columns)
            .map_err(|error| Error::internal(error.to_string()).at_field(self.schema().name))
    }

    /// The table from a frame with exactly the columns of `schema`, in their order.
    ///
    /// # Errors
    ///
    /// `Mismatch` when names, order or kinds differ; `Value` when a required value is null.
    pub fn from_frame(schema: &'static Schema, frame: &DataFrame) -> Result<Self> {
        let found: Vec<&str> =
            frame.columns().iter().map(|column| column.name().as_str()).collect();
        let wanted: Vec<&str> = schema.columns.iter().map(|column| column.name).collect();
        if found != wanted {
            let lacking: Vec<&str> =
                wanted.iter().filter(|name| !found.contains(name)).copied().collect();
            let extra: Vec<&str> =
                found.iter().filter(|name| !wanted.contains(name)).copied().collect();
            return Err(Error::mismatch(format!(
                "columns are not those of `{}` version {}: missing {lacking:?}, unknown {extra:?}",
                schema.name, schema.version
            )));
        }
        let mut given = Vec::with_capacity(wanted.len());
        for column in schema.columns {
            let values = frame
                .column(column.name)
                .map_err(|error| error.to_string())
                .and_then(|found| values(column.kind, found))
                .map_err(|message| {
                    Error::mismatch(message).at_field(format!("{}.{}", schema.name, column.name))
                })?;
            given.push((column.name, values));
        }
        Self::from_columns(schema, given)
            .map_err(|error| error.with_kind(crate::error::ErrorKind::Value))
    }
}

fn series(name: PlSmallStr, values: &Values) -> Series {
    match values {
        Values::Text(rows) => Series::new(name, rows.iter().collect::<Vec<_>>()),
        Values::Integer(rows) => Series::new(name, rows),
        Values::Real(rows) => Series::new(name, rows),
        Values::Single(rows) => Series::new(name, rows),
        Values::Boolean(rows) => Series::new(name, rows),
    }
}

/// The values of `column`, or a message that names the kinds.
fn values(kind: Kind, column: &FrameColumn) -> Result<Values, String> {
    let wanted = match kind {
        Kind::Text => DataType::String,
        Kind::Integer => DataType::Int64,
        Kind::Real => DataType::Float64,
        Kind::Single => DataType::Float32,
        Kind::Boolean => DataType::Boolean,
    };
    if column.dtype() != &wanted {
        return Err(format!("column is {}, not {wanted}", column.dtype()));
    }
    let message = |error: PolarsError| error.to_string();
    Ok(match kind {
        Kind::Text => Values::Text(column.str().map_err(message)?.iter().collect::<Texts>()),
        Kind::Integer => Values::Integer(column.i64().map_err(message)?.iter().collect()),
        Kind::Real => Values::Real(column.f64().map_err(message)?.iter().collect()),
        Kind::Single => Values::Single(column.f32().map_err(message)?.iter().collect()),
        Kind::Boolean => Values::Boolean(column.bool().map_err(message)?.iter().collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::table::schemas::{EXCLUSIONS, HABITATS, VOXELS};

    #[test]
    fn a_table_survives_the_way_through_a_frame() {
        let mut table = Table::new(&HABITATS);
        for (habitat, sd) in [(1_i64, 0.1), (2, f64::NAN)] {
            table
                .row()
                .text("participant_id", "sub-01")
                .text("region", "tumour")
                .text("parameter", "adc")
                .text("units", "mm^2/s")
                .text("algorithm", "k_means")
                .integer("k", 2)
                .integer("habitat", habitat)
                .boolean("reported", habitat == 1)
                .integer("n", 40_usize)
                .real("sd", sd)
                .finish()
                .unwrap();
        }
        let frame = table.to_frame().unwrap();
        assert_eq!(frame.shape(), (2, HABITATS.columns.len()));
        assert_eq!(frame.column("sd").unwrap().null_count(), 1);
        assert_eq!(Table::from_frame(&HABITATS, &frame).unwrap(), table);
    }

    #[test]
    fn an_empty_table_keeps_its_columns_and_their_kinds() {
        for schema in crate::table::SCHEMAS {
            let frame = Table::new(schema).to_frame().unwrap();
            let again = Table::from_frame(schema, &frame).unwrap();
            assert_eq!((again.n_rows(), again.columns().len()), (0, schema.columns.len()));
        }
        let frame = Table::new(&VOXELS).to_frame().unwrap();
        assert_eq!(frame.column("value").unwrap().dtype(), &DataType::Float32);
    }

    #[test]
    fn a_frame_of_another_table_is_refused_by_the_names() {
        let frame = Table::new(&HABITATS).to_frame().unwrap();
        let error = Table::from_frame(&EXCLUSIONS, &frame).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert!(error.message().contains("missing [\"reason\", \"n_voxels\", \"n_region\"]"));
    }

    #[test]
    fn a_column_of_another_kind_is_refused() {
        let mut frame = Table::new(&EXCLUSIONS).to_frame().unwrap();
        let text = Series::new("n_voxels".into(), Vec::<Option<&str>>::new());
        frame.replace("n_voxels", text.into_column()).unwrap();
        let error = Table::from_frame(&EXCLUSIONS, &frame).unwrap_err();
        assert_eq!(error.to_string(), "`exclusions.n_voxels`: column is str, not i64");
    }
}
