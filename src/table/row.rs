//! One row on its way into a table.

use super::values::{REASON, no_such_column, not_defined};
use super::{Kind, Table, Texts, Values};
use crate::error::{Error, Result};

/// A row under construction: name the columns that have a value, then [`Row::finish`].
///
/// Columns that are not named are missing. The first fault is kept and reported by `finish`.
///
/// # Example: one region
///
/// ```
/// use biomarker::table::{Table, schemas};
///
/// # fn main() -> biomarker::error::Result<()> {
/// let mut table = Table::new(&schemas::REGIONS);
/// table
///     .row()
///     .text("participant_id", "sub-01")
///     .text("region", "femoral cartilage")
///     .text("parameter", "t2")
///     .text("units", "s")
///     .text("selection", "naive")
///     .integer("n", 1_usize)
///     .real("mean", 0.038)
///     .real("sd", f64::NAN)
///     .finish()?;
/// assert_eq!(table.reals("mean")?, [Some(0.038)]);
/// assert_eq!(table.reals("sd")?, [None]);
/// assert_eq!(table.texts("exclusion_reason")?.get(0), Some("not defined: sd"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the row is added by `finish`"]
pub struct Row<'a> {
    table: &'a mut Table,
    values: Vec<Values>,
    undefined: Vec<&'static str>,
    fault: Option<Error>,
}

impl<'a> Row<'a> {
    pub(super) fn new(table: &'a mut Table) -> Self {
        let values =
            table.schema().columns.iter().map(|column| Values::missing(column.kind, 1)).collect();
        Self { table, values, undefined: Vec::new(), fault: None }
    }

    /// Sets a text; empty text is missing.
    pub fn text(self, column: &str, value: impl AsRef<str>) -> Self {
        self.set(column, Values::Text(Texts::repeated(value.as_ref(), 1)))
    }

    /// Sets a text that may be missing.
    pub fn optional_text(self, column: &str, value: Option<&str>) -> Self {
        self.text(column, value.unwrap_or_default())
    }

    /// Sets an integer; one beyond 64 signed bits is a fault.
    pub fn integer(mut self, column: &str, value: impl TryInto<i64>) -> Self {
        if let Ok(value) = value.try_into() {
            self.set(column, Values::Integer(vec![Some(value)]))
        } else {
            let error = Error::internal("the integer needs more than 64 bits");
            self.keep_fault(error.at_field(column));
            self
        }
    }

    /// Sets an integer that may be missing.
    pub fn optional_integer(self, column: &str, value: Option<i64>) -> Self {
        self.set(column, Values::Integer(vec![value]))
    }

    /// Sets a number, rounded to 32 bits where the column is; what is not finite becomes missing,
    /// and `exclusion_reason` names it unless the row gives its own reason.
    pub fn real(mut self, column: &str, value: f64) -> Self {
        let Some(at) = self.table.schema().position(column) else {
            return self.set(column, Values::Real(vec![None]));
        };
        let Some(named) = self.table.schema().columns.get(at) else { return self };
        let single = value as f32;
        let is_single = named.kind == Kind::Single;
        let finite = if is_single { single.is_finite() } else { value.is_finite() };
        if !finite {
            self.undefined.push(named.name);
        }
        let values = if is_single {
            Values::Single(vec![Some(single).filter(|_| finite)])
        } else {
            Values::Real(vec![Some(value).filter(|_| finite)])
        };
        self.set(column, values)
    }

    /// Sets a number that may be missing.
    pub fn optional_real(self, column: &str, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.real(column, value),
            None => self,
        }
    }

    /// Sets true or false.
    pub fn boolean(self, column: &str, value: impl Into<Option<bool>>) -> Self {
        self.set(column, Values::Boolean(vec![value.into()]))
    }

    /// Adds the row to the table.
    ///
    /// # Errors
    ///
    /// `Internal` when a column is unknown, of another kind, set twice, or required and missing;
    /// the table is as before then.
    pub fn finish(mut self) -> Result<()> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let schema = self.table.schema();
        if let Some(slot) = schema.position(REASON).and_then(|at| self.values.get_mut(at))
            && slot.is_missing(0)
            && !self.undefined.is_empty()
        {
            let reason = not_defined(&self.undefined);
            *slot = Values::Text(Texts::repeated(&reason, 1));
        }
        for (column, value) in schema.columns.iter().zip(&self.values) {
            if column.required && value.is_missing(0) {
                return Err(Error::internal("every row must have a value")
                    .at_field(format!("{}.{}", schema.name, column.name)));
            }
        }
        self.table.push_one_row(&self.values);
        Ok(())
    }

    fn set(mut self, name: &str, value: Values) -> Self {
        let schema = self.table.schema();
        let slot = schema.position(name).and_then(|at| self.values.get_mut(at));
        let fault = match slot {
            None => Some(no_such_column(schema, name)),
            Some(slot) if slot.kind() != value.kind() => Some(
                Error::internal(format!(
                    "a {} value does not fit a {} column",
                    value.kind().name(),
                    slot.kind().name()
                ))
                .at_field(format!("{}.{name}", schema.name)),
            ),
            Some(slot) if !slot.is_missing(0) => Some(
                Error::internal("the value is set twice")
                    .at_field(format!("{}.{name}", schema.name)),
            ),
            Some(slot) => {
                *slot = value;
                None
            }
        };
        if let Some(fault) = fault {
            self.keep_fault(fault);
        }
        self
    }

    fn keep_fault(&mut self, fault: Error) {
        self.fault.get_or_insert(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::table::schemas::{EXCLUSIONS, VOXELS};

    fn complete(table: &mut Table) -> Row<'_> {
        table
            .row()
            .text("participant_id", "sub-01")
            .text("region", "tumour")
            .text("parameter", "adc")
            .text("reason", "no_signal")
            .integer("n_voxels", 3_u32)
            .integer("n_region", 0_usize)
    }

    #[test]
    fn a_number_that_is_not_finite_is_null_and_the_row_says_which() {
        let mut table = Table::new(&EXCLUSIONS);
        complete(&mut table).real("fraction", f64::INFINITY).finish().unwrap();
        complete(&mut table)
            .real("fraction", f64::NAN)
            .text("exclusion_reason", "the region is empty")
            .finish()
            .unwrap();
        complete(&mut table).real("fraction", 0.5).finish().unwrap();
        assert_eq!(table.reals("fraction").unwrap(), [None, None, Some(0.5)]);
        let reasons: Vec<_> = table.texts("exclusion_reason").unwrap().iter().collect();
        assert_eq!(reasons, [Some("not defined: fraction"), Some("the region is empty"), None]);
        assert_eq!(table.texts("session_id").unwrap().get(0), None);
    }

    #[test]
    fn faults_name_table_and_column_and_leave_the_table_alone() {
        let mut table = Table::new(&EXCLUSIONS);
        let faults = [
            complete(&mut table).real("mean", 1.0).finish(),
            complete(&mut table).real("n_voxels", 1.0).finish(),
            complete(&mut table).text("reason", "again").finish(),
            complete(&mut table).integer("fraction", u64::MAX).finish(),
            table.row().text("participant_id", "sub-01").finish(),
        ];
        let texts: Vec<String> = faults.into_iter().map(|f| f.unwrap_err().to_string()).collect();
        assert_eq!(
            texts,
            [
                "table `exclusions` has no column `mean`",
                "`exclusions.n_voxels`: a float64 value does not fit a int64 column",
                "`exclusions.reason`: the value is set twice",
                "`fraction`: the integer needs more than 64 bits",
                "`exclusions.region`: every row must have a value",
            ]
        );
        assert_eq!(table.n_rows(), 0);
    }

    #[test]
    fn a_required_text_may_not_be_empty() {
        let mut table = Table::new(&EXCLUSIONS);
        let error = table.row().text("participant_id", "").finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert_eq!(error.field(), Some("exclusions.participant_id"));
    }

    #[test]
    fn numbers_beyond_32_bits_are_missing_in_voxels() {
        let mut table = Table::new(&VOXELS);
        table
            .row()
            .text("participant_id", "sub-01")
            .text("region", "tumour")
            .text("parameter", "adc")
            .text("units", "mm^2/s")
            .integer("i", 1)
            .integer("j", 2)
            .integer("k", 3)
            .text("status", "converged")
            .real("value", 0.001)
            .real("u", 1e300)
            .finish()
            .unwrap();
        assert_eq!(*table.column("value").unwrap(), Values::Single(vec![Some(0.001)]));
        assert!(table.column("u").unwrap().is_missing(0));
        assert_eq!(table.texts("exclusion_reason").unwrap().get(0), Some("not defined: u"));
    }
}
