//! The page of all participants.

use super::{find, integer, real, text};
use crate::error::Result;
use crate::pipeline::pages::{SIMULATED, provenance_rows, shown};
use crate::pipeline::plan::Plan;
use crate::pipeline::provenance::Provenance;
use crate::report::{Page, PageTable};
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
        links: sessions.iter().map(|name| (name.clone(), format!("{name}.html"))).collect(),
        provenance: provenance_rows(provenance, plan.study.seed),
        ..Page::default()
    };
    if plan.study.simulated {
        page.notices.push(SIMULATED.into());
    }
    if !plan.fit.is_empty() && plan.study.knees.is_empty() {
        page.methods.push(HEADLINE_METHOD.into());
    }
    if let Some(classes) = find(tables, "classes") {
        page.tables.push(class_table(classes)?);
        page.tables.push(pair_table(classes)?);
    }
    if let Some(tumours) = find(tables, "tumours") {
        page.tables.push(tumour_table(tumours)?);
    }
    if let Some(paired) = find(tables, "paired") {
        page.tables.push(paired_table(paired)?);
    }
    if let Some(knees) = find(tables, "knees") {
        page.tables.push(knee_table(knees)?);
    }
    if let Some(runs) = find(tables, "runs") {
        failures(runs, &mut page)?;
    }
    Ok(page)
}

const HEADLINE_METHOD: &str = "Percent uncertainty of a class is 100 times the standard deviation \
                               between tumours over the mean of their means; of a tumour, of its \
                               voxels.";

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

/// `1.20 (37 %)`.
fn with_percent(table: &Table, prefix: &str, row: usize, factor: f64) -> Result<String> {
    let mean = cell(table, &format!("{prefix}_mean"), row, factor)?;
    let percent = real(table, &format!("{prefix}_percent"), row)?;
    Ok(percent.map_or_else(|| mean.clone(), |percent| format!("{mean} ({percent:.0} %)")))
}

fn class_table(classes: &Table) -> Result<PageTable> {
    let mut rows = Vec::new();
    for row in 0..classes.n_rows() {
        if !text(classes, "versus_class", row)?.is_empty() {
            continue;
        }
        let (factor, unit) = page_unit(text(classes, "units", row)?);
        rows.push(vec![
            text(classes, "parameter", row)?.to_owned(),
            text(classes, "class", row)?.to_owned(),
            count(classes, "naive_n", row)?,
            with_percent(classes, "method", row, factor)?,
            with_percent(classes, "naive", row, factor)?,
            unit.to_owned(),
            probability(classes, "method_p_kruskal_wallis", row)?,
            probability(classes, "naive_p_kruskal_wallis", row)?,
            cell(classes, "method_auc", row, 1.0)?,
            cell(classes, "naive_auc", row, 1.0)?,
        ]);
    }
    Ok(table(
        "Classes",
        "Mean over tumours (percent uncertainty between tumours); p by Kruskal–Wallis over all \
         classes; area under the curve of the positive class against the others.",
        &[
            "parameter",
            "class",
            "tumours",
            "method",
            "voxel by voxel",
            "unit",
            "p method",
            "p voxel by voxel",
            "AUC method",
            "AUC voxel by voxel",
        ],
        rows,
    ))
}

fn pair_table(classes: &Table) -> Result<PageTable> {
    let mut rows = Vec::new();
    for row in 0..classes.n_rows() {
        let versus = text(classes, "versus_class", row)?;
        if !versus.is_empty() {
            rows.push(vec![
                text(classes, "parameter", row)?.to_owned(),
                format!("{} – {versus}", text(classes, "class", row)?),
                probability(classes, "method_p_mann_whitney", row)?,
                probability(classes, "method_p_holm", row)?,
                probability(classes, "naive_p_mann_whitney", row)?,
                probability(classes, "naive_p_holm", row)?,
            ]);
        }
    }
    Ok(table(
        "Pairs of classes",
        "Exact Mann–Whitney tests of the tumours' means, and the same adjusted by Holm.",
        &["parameter", "classes", "p method", "Holm", "p voxel by voxel", "Holm"],
        rows,
    ))
}

fn tumour_table(tumours: &Table) -> Result<PageTable> {
    let mut rows = Vec::new();
    for row in 0..tumours.n_rows() {
        let (factor, unit) = page_unit(text(tumours, "units", row)?);
        let spread = |prefix: &str| -> Result<String> {
            let mean = cell(tumours, &format!("{prefix}_mean"), row, factor)?;
            Ok(format!("{mean} ± {}", cell(tumours, &format!("{prefix}_sd"), row, factor)?))
        };
        let is_reported = text(tumours, "status", row)? == "reported";
        rows.push(vec![
            text(tumours, "participant_id", row)?.to_owned(),
            text(tumours, "class", row)?.to_owned(),
            text(tumours, "parameter", row)?.to_owned(),
            if is_reported { spread("method")? } else { "insufficient".into() },
            count(tumours, "method_n", row)?,
            spread("naive")?,
            count(tumours, "naive_n", row)?,
            unit.to_owned(),
            cell(tumours, "kept_fraction", row, 100.0)? + " %",
        ]);
    }
    Ok(table(
        "Tumours",
        "Mean ± standard deviation over the voxels of each tumour.",
        &[
            "participant",
            "class",
            "parameter",
            "method",
            "voxels",
            "voxel by voxel",
            "voxels",
            "unit",
            "kept",
        ],
        rows,
    ))
}

fn paired_table(paired: &Table) -> Result<PageTable> {
    let mut rows = Vec::new();
    for row in 0..paired.n_rows() {
        let (factor, unit) = page_unit(text(paired, "units", row)?);
        rows.push(vec![
            text(paired, "endpoint", row)?.replace('_', " "),
            text(paired, "group", row)?.to_owned(),
            count(paired, "n", row)?,
            cell(paired, "mean_before", row, factor)?,
            cell(paired, "mean_after", row, factor)?,
            cell(paired, "hodges_lehmann", row, factor)?,
            format!(
                "{} to {}",
                cell(paired, "ci_low", row, factor)?,
                cell(paired, "ci_high", row, factor)?
            ),
            unit.to_owned(),
            probability(paired, "p_exact", row)?,
            probability(paired, "p_t", row)?,
            probability(paired, "p_flip", row)?,
            probability(paired, "p_holm", row)?,
        ]);
    }
    Ok(table(
        "Before and after",
        "Hodges–Lehmann change with its exact interval; exact Wilcoxon, paired t, exact sign flip of \
         participants; Holm within the family of the headline test. Interaction: change of the \
         control knee minus change of the treated knee.",
        &[
            "endpoint",
            "knees",
            "n",
            "before",
            "after",
            "change",
            "95 % interval",
            "unit",
            "p Wilcoxon",
            "p t",
            "p flip",
            "p Holm",
        ],
        rows,
    ))
}

fn knee_table(knees: &Table) -> Result<PageTable> {
    let mut rows = Vec::new();
    for row in 0..knees.n_rows() {
        let (factor, unit) = page_unit(text(knees, "units", row)?);
        rows.push(vec![
            text(knees, "participant_id", row)?.to_owned(),
            text(knees, "session_id", row)?.to_owned(),
            text(knees, "side", row)?.to_owned(),
            text(knees, "group", row)?.to_owned(),
            text(knees, "parameter", row)?.to_owned(),
            cell(knees, "median", row, factor)?,
            cell(knees, "p25", row, factor)?,
            cell(knees, "mean", row, factor)?,
            cell(knees, "sd", row, factor)?,
            count(knees, "n", row)?,
            unit.to_owned(),
        ]);
    }
    Ok(table(
        "Knees",
        "T2 over the kept voxels, thickness over the points of the articular surface.",
        &[
            "participant",
            "session",
            "side",
            "group",
            "parameter",
            "median",
            "P25",
            "mean",
            "SD",
            "n",
            "unit",
        ],
        rows,
    ))
}

fn failures(runs: &Table, page: &mut Page) -> Result<()> {
    for row in 0..runs.n_rows() {
        if text(runs, "status", row)? != "done" {
            page.notices.push(format!(
                "{} {} is missing: {}",
                text(runs, "participant_id", row)?,
                text(runs, "session_id", row)?,
                text(runs, "reason", row)?
            ));
        }
    }
    Ok(())
}

fn table(title: &str, caption: &str, columns: &[&str], rows: Vec<Vec<String>>) -> PageTable {
    PageTable {
        title: title.into(),
        caption: caption.into(),
        columns: columns.iter().map(|&column| column.into()).collect(),
        rows,
    }
}
