//! Statistics over all sessions: from merged tables to classes and pairs.

mod classes;
mod page;
mod paired;
mod repeatability;

pub use page::index;

use super::plan::{CohortPlan, Plan};
use crate::error::Result;
use crate::table::Table;

/// The tables that only all sessions together can give: `classes`, or `paired` and `repeatability`.
///
/// # Errors
///
/// Where a subject stands twice or a value is not finite, which session tables exclude.
pub fn tables(plan: &Plan, merged: &[Table]) -> Result<Vec<Table>> {
    match &plan.cohort {
        Some(CohortPlan::Tumours(cohort)) => match find(merged, "tumours") {
            Some(tumours) => Ok(vec![classes::table(cohort, tumours)?]),
            None => Ok(Vec::new()),
        },
        Some(CohortPlan::Knees(cohort)) => match find(merged, "knees") {
            Some(knees) => {
                let mut tables = vec![paired::table(plan, cohort, knees)?];
                if let Some(retest) = &cohort.retest {
                    tables.push(repeatability::table(retest, knees)?);
                }
                Ok(tables)
            }
            None => Ok(Vec::new()),
        },
        None => Ok(Vec::new()),
    }
}

/// The table called `name`.
pub fn find<'a>(tables: &'a [Table], name: &str) -> Option<&'a Table> {
    tables.iter().find(|table| table.schema().name == name)
}

/// Text of one cell; empty where it is missing.
fn text<'a>(table: &'a Table, column: &str, row: usize) -> Result<&'a str> {
    Ok(table.texts(column)?.get(row).unwrap_or_default())
}

/// Number of one cell.
fn real(table: &Table, column: &str, row: usize) -> Result<Option<f64>> {
    Ok(table.reals(column)?.get(row).copied().flatten())
}

/// Whole number of one cell.
fn integer(table: &Table, column: &str, row: usize) -> Result<Option<i64>> {
    Ok(table.integers(column)?.get(row).copied().flatten())
}
