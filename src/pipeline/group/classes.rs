//! Tumours in classes: the naive answer and the method side by side.

use super::{integer, real, text};
use crate::cohort::{
    ClassPair, ClassSummary, ClassTests, Contrast, Selection, Summary, Tumour, class_summaries,
    class_tests,
};
use crate::error::Result;
use crate::pipeline::plan::TumourPlan;
use crate::statistics::roc::{Direction, Roc};
use crate::table::schemas::CLASSES;
use crate::table::{Row, Table};

/// Both selections of one parameter.
struct Parameter {
    name: String,
    units: String,
    summaries: Vec<ClassSummary>,
    tests: [ClassTests; 2],
}

const PREFIXES: [(Selection, &str); 2] =
    [(Selection::Naive, "naive"), (Selection::Method, "method")];

/// The `classes` table of all parameters in `tumours`.
pub(super) fn table(plan: &TumourPlan, tumours: &Table) -> Result<Table> {
    let mut table = Table::new(&CLASSES);
    for (name, units) in parameters(tumours)? {
        let rows = rows_of(plan, tumours, &name)?;
        if rows.is_empty() {
            continue;
        }
        let contrast = contrast(plan, &rows, &name);
        let parameter = Parameter {
            summaries: class_summaries(&rows)?,
            tests: [
                class_tests(&rows, Selection::Naive, contrast.as_ref())?,
                class_tests(&rows, Selection::Method, contrast.as_ref())?,
            ],
            name,
            units,
        };
        parameter.write(plan, &mut table)?;
    }
    Ok(table)
}

/// Parameters with their units in the order of their first row.
fn parameters(tumours: &Table) -> Result<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for row in 0..tumours.n_rows() {
        let pair = (text(tumours, "parameter", row)?.into(), text(tumours, "units", row)?.into());
        if !found.contains(&pair) {
            found.push(pair);
        }
    }
    Ok(found)
}

/// Tumours of one parameter, classes in the order of the plan; without a class they are left out.
fn rows_of(plan: &TumourPlan, tumours: &Table, parameter: &str) -> Result<Vec<Tumour>> {
    let mut rows = Vec::new();
    for row in 0..tumours.n_rows() {
        let class = text(tumours, "class", row)?;
        if text(tumours, "parameter", row)? != parameter || class.is_empty() {
            continue;
        }
        let summary = |prefix: &str| -> Result<Option<Summary>> {
            let mean = real(tumours, &format!("{prefix}_mean"), row)?;
            let standard_deviation = real(tumours, &format!("{prefix}_sd"), row)?;
            let n = integer(tumours, &format!("{prefix}_n"), row)?.unwrap_or(0) as usize;
            let standard_error = match prefix {
                "method" => real(tumours, "method_stderr", row)?,
                _ => None,
            };
            Ok(mean.map(|mean| Summary { mean, standard_deviation, n, standard_error }))
        };
        rows.push(Tumour {
            subject: subject(tumours, row)?,
            class: class.to_owned(),
            naive: summary("naive")?,
            method: summary("method")?,
        });
    }
    let place = |class: &String| plan.classes.iter().position(|c| c == class).unwrap_or(usize::MAX);
    rows.sort_by_key(|tumour| place(&tumour.class));
    Ok(rows)
}

fn subject(tumours: &Table, row: usize) -> Result<String> {
    let session = text(tumours, "session_id", row)?;
    let participant = text(tumours, "participant_id", row)?;
    Ok(format!("{participant} {session}").trim_end().to_owned())
}

/// The positive class against all others; low ADC and high IAUC speak for it.
fn contrast(plan: &TumourPlan, rows: &[Tumour], parameter: &str) -> Option<Contrast> {
    let positive = plan.positive_class.clone()?;
    let mut negative: Vec<String> =
        rows.iter().map(|row| row.class.clone()).filter(|class| *class != positive).collect();
    negative.sort();
    negative.dedup();
    let is_there = rows.iter().any(|row| row.class == positive);
    let direction = if parameter.starts_with("iauc") {
        Direction::HigherIsPositive
    } else {
        Direction::LowerIsPositive
    };
    (is_there && !negative.is_empty()).then(|| Contrast {
        positive: vec![positive],
        negative,
        direction,
    })
}

impl Parameter {
    fn write(&self, plan: &TumourPlan, table: &mut Table) -> Result<()> {
        let mut classes: Vec<&str> = Vec::new();
        for summary in &self.summaries {
            if !classes.contains(&summary.class.as_str()) {
                classes.push(&summary.class);
            }
        }
        for class in &classes {
            let is_positive = plan.positive_class.as_deref() == Some(*class);
            let mut row = self.row(table, class);
            for (index, (selection, prefix)) in PREFIXES.into_iter().enumerate() {
                let of_class =
                    self.summaries.iter().find(|s| s.class == *class && s.selection == selection);
                if let Some(summary) = of_class {
                    row = class_columns(row, prefix, summary);
                    if selection == Selection::Method {
                        row = measurement_columns(row, summary);
                    }
                }
                let p = self.tests[index].kruskal_wallis.as_ref().map(|test| test.p);
                row = row.optional_real(&format!("{prefix}_p_kruskal_wallis"), p);
                if let Some(roc) = self.tests[index].roc.as_ref().filter(|_| is_positive) {
                    row = roc_columns(row, prefix, roc);
                }
            }
            row.finish()?;
        }
        self.write_pairs(table)
    }

    fn write_pairs(&self, table: &mut Table) -> Result<()> {
        let [naive, method] = &self.tests;
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for pair in naive.pairs.iter().chain(&method.pairs) {
            if !pairs.contains(&(&pair.first, &pair.second)) {
                pairs.push((&pair.first, &pair.second));
            }
        }
        for (first, second) in pairs {
            let mut row = self.row(table, first).text("versus_class", second);
            for (tests, (_, prefix)) in self.tests.iter().zip(PREFIXES) {
                let found = tests.pairs.iter().find(|p| p.first == first && p.second == second);
                row = row.integer(
                    &format!("{prefix}_n"),
                    found.map_or(0, |pair| pair.test.n.iter().sum::<usize>()),
                );
                if let Some(pair) = found {
                    row = pair_columns(row, prefix, pair);
                }
            }
            row.finish()?;
        }
        Ok(())
    }

    fn row<'t>(&self, table: &'t mut Table, class: &str) -> Row<'t> {
        table.row().text("class", class).text("parameter", &self.name).text("units", &self.units)
    }
}

fn class_columns<'t>(row: Row<'t>, prefix: &str, summary: &ClassSummary) -> Row<'t> {
    let name = |what: &str| format!("{prefix}_{what}");
    let interval = summary.confidence_interval_95;
    row.integer(&name("n"), summary.n)
        .optional_real(&name("mean"), summary.mean)
        .optional_real(&name("sd_between"), summary.sd_between)
        .optional_real(&name("percent"), summary.percent_uncertainty)
        .optional_real(&name("within_rms"), summary.sd_within)
        .optional_real(&name("within_percent"), summary.percent_within)
        .optional_real(&name("pooled_sd"), summary.sd_pooled)
        .optional_real(&name("pooled_percent"), summary.percent_pooled)
        .optional_real(&name("sem"), summary.standard_error)
        .optional_real(&name("sem_percent"), summary.percent_standard_error)
        .optional_real(&name("bootstrap95_low"), summary.bootstrap_interval_95.map(|i| i[0]))
        .optional_real(&name("bootstrap95_high"), summary.bootstrap_interval_95.map(|i| i[1]))
        .optional_real(&name("ci95_low"), interval.map(|[low, _]| low))
        .optional_real(&name("ci95_high"), interval.map(|[_, high]| high))
}

/// What the standard errors of the tumours leave of the class.
fn measurement_columns<'t>(row: Row<'t>, summary: &ClassSummary) -> Row<'t> {
    row.optional_real("method_measurement_error", summary.measurement_error)
        .optional_real("method_measurement_percent", summary.percent_measurement_error)
        .optional_real("method_sd_between_intrinsic", summary.sd_between_intrinsic)
        .optional_real("method_intrinsic_percent", summary.percent_intrinsic)
}

fn pair_columns<'t>(row: Row<'t>, prefix: &str, pair: &ClassPair) -> Row<'t> {
    let name = |what: &str| format!("{prefix}_{what}");
    row.real(&name("u"), pair.test.u)
        .optional_real(&name("p_mann_whitney"), pair.test.p_exact)
        .real(&name("p_holm"), pair.p_holm)
}

fn roc_columns<'t>(row: Row<'t>, prefix: &str, roc: &Roc) -> Row<'t> {
    let name = |what: &str| format!("{prefix}_{what}");
    let interval = roc.confidence_interval_95;
    let rates = roc.leave_one_out;
    row.real(&name("auc"), roc.area)
        .optional_real(&name("auc_ci95_low"), interval.map(|[low, _]| low))
        .optional_real(&name("auc_ci95_high"), interval.map(|[_, high]| high))
        .real(&name("cut"), roc.youden.threshold)
        .optional_real(&name("sensitivity"), rates.map(|rates| rates.sensitivity))
        .optional_real(&name("specificity"), rates.map(|rates| rates.specificity))
        .optional_real(&name("npv"), rates.and_then(|rates| rates.negative_predictive_value))
}
