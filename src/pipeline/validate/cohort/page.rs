//! The cohort as Markdown: the same bytes for the same numbers.

use std::fmt::Write;

use super::{
    CLASSES, ClassOutcome, CohortReport, PARAMETERS, Parameter, Run, class_outcome, coverage, tests,
};
use crate::cohort::ClassTests;
use crate::error::Result;
use crate::pipeline::provenance::VERSION;

const INTRODUCTION: &str = "\
Written by `biomarker validate --cohort`; never edited by hand. For every seed the thirty tumours of \
`biomarker simulate neuroblastoma --preset abstract` (GN 6, GNB 6, NB 18) are written as a BIDS dataset \
and run through `pipelines/neuroblastoma_cohort.toml`: noise level and bolus arrival are estimated, the \
region is drawn on the diffusion images and carried to the dynamic ones by scanner coordinates, and no \
truth is used.

**The cohort was built to the numbers of the abstract.** That they come out again shows that the \
estimator is consistent under the stated contamination, not that patients were so. Percent is 100·SD \
between the tumours of a class over their mean. *Truth* is the mean over the viable voxels of the very \
tumours. The abstract states no IAUC60 of GN and GNB; theirs are assumptions of the simulation.
";

/// Mean and percent between tumours that the abstract states: by the method, and voxel by voxel.
const ABSTRACT: [(&str, &str, [&str; 2]); 6] = [
    ("adc", "GN", ["1.2 (37 %)", "1.6 (45 %)"]),
    ("adc", "GNB", ["0.74 (43 %)", "1.7 (63 %)"]),
    ("adc", "NB", ["0.54 (20 %)", "1.3 (23 %)"]),
    ("iauc60", "GN", ["–", "–"]),
    ("iauc60", "GNB", ["–", "–"]),
    ("iauc60", "NB", ["43 (14 %)", "17 (17 %)"]),
];

/// The whole page.
pub(super) fn render(report: &CohortReport) -> Result<String> {
    let mut text = format!("# Thirty simulated neuroblastic tumours\n\n{INTRODUCTION}\n");
    let seeds: Vec<String> = report.runs.iter().map(|run| run.seed.to_string()).collect();
    let _ = writeln!(
        text,
        "biomarker {VERSION}, seeds {}. A number is the mean over the seeds, in brackets the smallest \
         and the largest.\n",
        seeds.join(", ")
    );
    checks(&mut text, report)?;
    for (way, settings) in report.ways.iter().enumerate() {
        let _ = writeln!(text, "## {}\n", capital(settings.name));
        if !settings.changes.is_empty() {
            let _ = writeln!(text, "`--set {}`\n", settings.changes.join(" --set "));
        }
        headline(&mut text, report, way)?;
        differences(&mut text, report, way)?;
        held(&mut text, report, way);
    }
    text.truncate(text.trim_end().len());
    Ok(text + "\n")
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

fn checks(text: &mut String, report: &CohortReport) -> Result<()> {
    text.push_str("## What must hold\n\nOf the shipped pipeline, under every seed.\n\n");
    text.push_str(
        "| class mean and spread against the truth | largest error | allowed | verdict |\n",
    );
    text.push_str("|---|--:|--:|---|\n");
    for check in report.checks()? {
        let verdict = if check.holds() { "holds" } else { "**does not hold**" };
        let _ =
            writeln!(text, "| {} | {:.3} | {} | {verdict} |", check.what, check.worst, check.limit);
    }
    text.push('\n');
    Ok(())
}

fn headline(text: &mut String, report: &CohortReport, way: usize) -> Result<()> {
    text.push_str(
        "| parameter | class | abstract, method | ours | truth | abstract, voxel by voxel | ours, \
         voxel by voxel |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for parameter in PARAMETERS {
        for class in CLASSES {
            let found = report
                .runs
                .iter()
                .map(|run| class_outcome(&run.outcomes[way], parameter, class))
                .collect::<Result<Vec<ClassOutcome>>>()?;
            let stated = ABSTRACT.iter().find(|row| (row.0, row.1) == (parameter.name, class));
            let [method, naive] = stated.map_or(["–"; 2], |row| row.2);
            let cell = |of: &dyn Fn(&ClassOutcome) -> [Option<f64>; 2]| {
                let pairs: Vec<[Option<f64>; 2]> = found.iter().map(of).collect();
                mean_and_percent(parameter, &pairs)
            };
            let _ = writeln!(
                text,
                "| {} {} | {class} | {method} | {} | {} | {naive} | {} |",
                parameter.name,
                parameter.unit,
                cell(&|o| [o.method.mean, o.method.percent_uncertainty]),
                cell(&|o| o.truth.map(Some)),
                cell(&|o| [o.naive.mean, o.naive.percent_uncertainty]),
            );
        }
    }
    text.push('\n');
    Ok(())
}

/// `0.541 (0.540–0.542); 20.1 % (19.8–20.4)`.
fn mean_and_percent(parameter: Parameter, pairs: &[[Option<f64>; 2]]) -> String {
    let column = |index: usize, factor: f64| -> Vec<f64> {
        pairs.iter().filter_map(|pair| pair[index]).map(|value| value * factor).collect()
    };
    let (means, percents) = (column(0, parameter.factor), column(1, 1.0));
    if means.len() < pairs.len() {
        return format!("no number under {} seeds", pairs.len() - means.len());
    }
    format!("{}; {} %", range(&means, parameter.digits), range(&percents, 1))
}

/// Mean with the smallest and the largest.
fn range(values: &[f64], digits: usize) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{mean:.digits$} ({low:.digits$}–{high:.digits$})")
}

fn differences(text: &mut String, report: &CohortReport, way: usize) -> Result<()> {
    text.push_str(
        "| parameter | | Kruskal–Wallis p | NB against GN and GNB: area under ROC | sensitivity | \
         specificity |\n|---|---|--:|--:|--:|--:|\n",
    );
    for parameter in PARAMETERS {
        let both = report
            .runs
            .iter()
            .map(|run| tests(&run.outcomes[way], parameter))
            .collect::<Result<Vec<_>>>()?;
        for (index, name) in ["voxel by voxel", "method"].into_iter().enumerate() {
            let column = |of: fn(&ClassTests) -> Option<f64>, digits: usize| {
                let values: Vec<f64> = both.iter().filter_map(|tests| of(&tests[index])).collect();
                if values.is_empty() { "–".to_owned() } else { range(&values, digits) }
            };
            let _ = writeln!(
                text,
                "| {} | {name} | {} | {} | {} | {} |",
                parameter.name,
                column(|tests| tests.kruskal_wallis.as_ref().map(|test| test.p), 4),
                column(|tests| tests.roc.as_ref().map(|roc| roc.area), 2),
                column(|tests| Some(tests.roc.as_ref()?.leave_one_out?.sensitivity), 2),
                column(|tests| Some(tests.roc.as_ref()?.leave_one_out?.specificity), 2),
            );
        }
    }
    text.push('\n');
    Ok(())
}

fn held(text: &mut String, report: &CohortReport, way: usize) {
    for parameter in PARAMETERS {
        let count = |run: &Run| coverage(&run.outcomes[way], parameter);
        let (held, n) = report.runs.iter().map(count).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        let _ = writeln!(
            text,
            "- {}: the truth lies within 1.96 standard errors of the tumour's number in {held} of {n} \
             tumours.",
            parameter.name
        );
    }
    text.push('\n');
}
