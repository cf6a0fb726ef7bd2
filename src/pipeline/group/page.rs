//! The page of all participants.

mod classes;
mod knees;
mod participants;
mod repeatability;

use super::paired::whole_regions;
use super::{find, integer, real};
use crate::error::Result;
use crate::pipeline::pages::{general_notices, movement_notes, provenance_rows, shown, spread};
use crate::pipeline::plan::{CohortPlan, KneePlan, Plan};
use crate::pipeline::provenance::Provenance;
use crate::report::{Cell, Level, Notice, Page, PageTable};
use crate::table::Table;

/// The page of all participants from the tables alone; `sessions` are the names of their pages.
///
/// # Errors
///
/// Where a table lacks a column, which schemas exclude.
pub fn index(
    plan: &Plan,
    tables: &[Table],
    sessions: &[String],
    provenance: &Provenance,
) -> Result<Page> {
    let mut page = Page {
        title: "All participants".into(),
        study: plan.study.name.clone(),
        notices: general_notices(plan),
        provenance: provenance_rows(provenance, plan.study.seed),
        ..Page::default()
    };
    if sessions.is_empty() {
        page.notices.push(Notice::of_page(Level::Failure, "No session could be measured."));
    }
    statistics(plan, tables, &mut page)?;
    if let Some(runs) = find(tables, "runs") {
        participants::add(knee_plan(plan), runs, &mut page)?;
    }
    page.methods.push(TABLES.into());
    page.methods.extend(movement_notes(plan));
    Ok(page)
}

/// What is compared, as the plan asks.
fn statistics(plan: &Plan, tables: &[Table], page: &mut Page) -> Result<()> {
    let both = |first: &str, second: &str| find(tables, first).zip(find(tables, second));
    match &plan.cohort {
        Some(CohortPlan::Tumours(cohort)) => {
            let Some((classes, tumours)) = both("classes", "tumours") else { return Ok(()) };
            page.summary.push(classes::summary(cohort, classes)?);
            page.figures.extend(classes::figures(classes, tumours)?);
            page.tables.push(classes::pairs(classes)?);
            page.tables.push(classes::details(classes)?);
            page.tables.push(classes::tumours(tumours)?);
        }
        Some(CohortPlan::Knees(cohort)) => {
            let Some((paired, knees)) = both("paired", "knees") else { return Ok(()) };
            let whole = whole_regions(plan);
            let [primary, others] = knees::tests(&whole, paired)?;
            page.summary.push(primary);
            page.figures.extend(knees::figures((cohort, &whole), paired, knees)?);
            page.tables.push(others);
            if let Some(repeated) = find(tables, "repeatability") {
                page.tables.push(repeatability::repeats(repeated)?);
            }
            page.tables.push(knees::knees(&whole, knees)?);
        }
        None => page.notices.push(Notice::of_page(Level::Remark, NO_COHORT)),
    }
    Ok(())
}

fn knee_plan(plan: &Plan) -> Option<&KneePlan> {
    match &plan.cohort {
        Some(CohortPlan::Knees(knees)) => Some(knees),
        _ => None,
    }
}

const NO_COHORT: &str = "No statistics over participants: the pipeline has no [cohort].";

const TABLES: &str = "Every number on this page stands, with more digits and more columns, in the \
                      folder tables; data_dictionary.tsv there explains each column.";

/// Factor and symbol with which the page shows a stored unit.
fn page_unit(symbol: &str) -> (f64, &str) {
    match symbol {
        "s" => (1e3, "ms"),
        "mm^2/s" => (1e3, "10⁻³ mm²/s"),
        "mmol/L*s" => (1.0, "mM·s"),
        other => (1.0, other),
    }
}

fn cell(table: &Table, column: &str, row: usize, factor: f64) -> Result<String> {
    Ok(real(table, column, row)?.map_or_else(|| "–".into(), |value| shown(value * factor)))
}

/// Mean and standard deviation of the columns `prefix` + `mean` and `sd`.
fn mean_and_sd(table: &Table, prefix: &str, row: usize, factor: f64) -> Result<String> {
    let Some(mean) = real(table, &format!("{prefix}mean"), row)? else { return Ok("–".into()) };
    let sd = real(table, &format!("{prefix}sd"), row)?.unwrap_or(f64::NAN);
    Ok(spread(mean * factor, sd * factor))
}

fn probability(table: &Table, column: &str, row: usize) -> Result<String> {
    Ok(match real(table, column, row)? {
        Some(p) if p < 1e-4 => "< 0.0001".into(),
        Some(p) => format!("{p:.4}"),
        None => "–".into(),
    })
}

fn count(table: &Table, column: &str, row: usize) -> Result<String> {
    Ok(integer(table, column, row)?.map_or_else(|| "–".into(), |n| n.to_string()))
}

fn table(title: &str, caption: &str, columns: &[&str], rows: Vec<Vec<Cell>>) -> PageTable {
    PageTable {
        title: title.into(),
        caption: caption.into(),
        columns: columns.iter().map(|&column| column.into()).collect(),
        rows,
    }
}
