//! The cohort of runners as Markdown: the same bytes for the same numbers.

use std::fmt::Write;

use super::{CHANGES, DESIGNS, Errors, KneesReport, MEDIAN_LIMIT_MS, Run, p_value};
use crate::error::Result;
use crate::pipeline::plan::RegistrationOrder;
use crate::pipeline::provenance::VERSION;
use crate::pipeline::trial::knees::{Place, Placement};
use crate::pipeline::validate::power_table;
use crate::statistics::moments::{mean, standard_deviation};

const INTRODUCTION: &str = "\
Written by `biomarker validate --knees`; never edited by hand. For every seed the nine runners of \
`biomarker simulate ultramarathon --preset abstract` (two knees, two sessions: 36 knee studies with an \
anatomical image, six echoes and labels, moved rigidly by up to 5 mm and 3° and elastically by up to \
2 mm between anatomical image and echoes) are written as a BIDS dataset and run through \
`pipelines/cartilage_cohort.toml`: noise level and movement are estimated, and no truth is used. Each \
seed is done twice: with changes planned for the paired t test and with changes planned for the exact \
Wilcoxon test.

**The changes were built to the p values of the abstract.** That they come out again shows what \
registration, partial volume and noise leave of a known effect, not that runners' knees behave so. \
*Truth* of T2 is the median or 25th percentile over the volume of the designed cartilage, as if voxels \
had no size; *truth* of the thickness is the designed mean over the articular surface.
";

const SOURCES: &str = "\
Every knee of the t design once more from its files, without pseudo-experiments, through the transform \
that the registration found and through the movement that the simulator used: what is left under the \
known movement is not of the registration, and what is left without noise is of the voxels alone. A \
voxel of 0.5 × 0.5 × 3 mm that is cartilage by half is marrow or synovial fluid by the other half. At \
the bone that lifts the shortest T2 towards the 50 ms of marrow, so the 25th percentile of what voxels \
show is not that of the cartilage, by an amount that hardly differs between the sessions. The simulator \
averages 2 × 2 points in the plane of a slice, so about a tenth of the voxels that hold cartilage is \
filled to exactly one half, and with `minimum_fraction = 0.5` rounding decides which of them count.
";

const REAL: &str = "\
Thickness and T2 of the public knee data beside `scipy`, `pymskt`, `localthickness` and fits of \
independent tools: `real_data.md`, sections *Knee, cartilage* and *Knee, multi-echo \
spin echo*.
";

/// The whole page.
pub(super) fn render(report: &KneesReport) -> Result<String> {
    let mut text =
        format!("# Nine simulated runners, their knees before and after\n\n{INTRODUCTION}\n");
    let seeds: Vec<String> = report.runs.iter().map(|run| run.seed.to_string()).collect();
    let _ = writeln!(
        text,
        "biomarker {VERSION}, seeds {}. `--set {}`: the shipped pipeline draws more, which changes \
         standard errors and, through the gate, a voxel now and then.\n",
        seeds.join(", "),
        CHANGES.join(" --set ")
    );
    checks(&mut text, report);
    p_values(&mut text, report);
    errors(&mut text, report);
    sources(&mut text, report);
    registration(&mut text, report);
    let _ = write!(text, "## How often a random cohort would do so\n\n{}\n", power_table()?);
    let _ = write!(text, "## Real knees\n\n{REAL}");
    Ok(text)
}

fn checks(text: &mut String, report: &KneesReport) {
    text.push_str("## What must hold\n\nUnder every seed and in both designs; the largest.\n\n");
    text.push_str("| | found | allowed | verdict |\n|---|--:|--:|---|\n");
    for check in report.checks() {
        let verdict = if check.holds() { "holds" } else { "**does not hold**" };
        let _ =
            writeln!(text, "| {} | {:.3} | {} | {verdict} |", check.what, check.worst, check.limit);
    }
    text.push('\n');
}

fn p_values(text: &mut String, report: &KneesReport) {
    text.push_str(
        "## p of the paired tests\n\n| changes planned for | knees | endpoint | planned |",
    );
    for run in &report.runs {
        let _ = write!(text, " seed {} |", run.seed);
    }
    text.push_str("\n|---|---|---|--:|");
    text.push_str(&"--:|".repeat(report.runs.len()));
    text.push('\n');
    for (place, design) in DESIGNS.iter().enumerate() {
        for (group, endpoint, planned) in design.p {
            let _ = write!(text, "| {} | {group} | {endpoint} | {planned:.4} |", design.name);
            for run in &report.runs {
                let p = p_value(&run.cohorts[place], design, (group, endpoint));
                let _ = write!(text, " {} |", shown(p));
            }
            text.push('\n');
        }
        for group in ["control", "treated"] {
            let _ = write!(text, "| {} | {group} | thickness_mean | > 0.05 |", design.name);
            for run in &report.runs {
                let p = p_value(&run.cohorts[place], design, (group, "thickness_mean"));
                let _ = write!(text, " {} |", shown(p));
            }
            text.push('\n');
        }
    }
    text.push('\n');
}

fn shown(p: Option<f64>) -> String {
    p.map_or_else(|| "–".into(), |p| format!("{p:.4}"))
}

/// `+0.085 ± 0.151`, `0.33`.
fn spread(values: &[f64]) -> [String; 2] {
    let (Some(mean), Some(sd)) = (mean(values), standard_deviation(values)) else {
        return ["–".into(), "–".into()];
    };
    [format!("{mean:+.3} ± {sd:.3}"), format!("{:.3}", super::largest(values))]
}

fn within(values: &[f64], limit: f64) -> String {
    let n = values.iter().filter(|value| value.abs() <= limit).count();
    format!("{n} of {}", values.len())
}

fn errors(text: &mut String, report: &KneesReport) {
    text.push_str(
        "## Errors of a knee\n\nMean ± SD over knees and sessions of all seeds; the last column counts \
         those whose truth lies within 1.96 standard errors of the region, which stand for noise and \
         transform and not for partial volume.\n\n\
         | changes planned for | quantity | error | largest | within 0.1 ms | within 1.96 standard errors |\n\
         |---|---|--:|--:|--:|--:|\n",
    );
    for (place, design) in DESIGNS.iter().enumerate() {
        let Errors { t2_ms, t2_in_stderr, change_ms, change_in_stderr, thickness_mm, .. } =
            report.errors(Some(place));
        for (statistic, name) in ["median", "25th percentile"].into_iter().enumerate() {
            for (of, values, relative) in [
                ("T2, ms:", &t2_ms, &t2_in_stderr),
                ("change of T2, ms:", &change_ms, &change_in_stderr),
            ] {
                let [error, largest] = spread(&values[statistic]);
                let _ = writeln!(
                    text,
                    "| {} | {of} {name} | {error} | {largest} | {} | {} |",
                    design.name,
                    within(&values[statistic], MEDIAN_LIMIT_MS),
                    within(&relative[statistic], 1.96)
                );
            }
        }
        let [error, largest] = spread(&thickness_mm);
        let _ =
            writeln!(text, "| {} | thickness, mm: mean | {error} | {largest} | | |", design.name);
    }
    text.push('\n');
}

/// Errors of both statistics of T2 in one place, ms.
fn errors_of(run: &Run, placements: &[Placement], place: usize) -> [Vec<f64>; 2] {
    let mut errors = [Vec::new(), Vec::new()];
    for found in placements {
        let truth = run.cohorts.first().and_then(|cohort| {
            cohort.knees.iter().find(|knee| {
                (&knee.participant_id, &knee.session_id, &knee.side)
                    == (&found.participant_id, &found.session_id, &found.side)
            })
        });
        let Some(truth) = truth else { continue };
        for (statistic, errors) in errors.iter_mut().enumerate() {
            errors.push(found.t2_ms[place][statistic] - truth.t2_truth_ms[statistic]);
        }
    }
    errors
}

fn sources(text: &mut String, report: &KneesReport) {
    let _ = write!(text, "## Where the errors come from\n\n{SOURCES}\n");
    text.push_str(
        "| order | transform | noise | median T2, error, ms | largest | 25th percentile, error, ms | \
         largest |\n|---|---|---|--:|--:|--:|--:|\n",
    );
    for (index, place) in Place::ALL.iter().enumerate() {
        for has_noise in [true, false] {
            let mut errors = [Vec::new(), Vec::new()];
            for run in &report.runs {
                let placements = if has_noise { &run.placements } else { &run.noise_free };
                for (all, more) in errors.iter_mut().zip(errors_of(run, placements, index)) {
                    all.extend(more);
                }
            }
            let ([median, most], [p25, most_p25]) = (spread(&errors[0]), spread(&errors[1]));
            let order = match place.order {
                RegistrationOrder::RegisterThenFit => "register_then_fit",
                RegistrationOrder::FitThenMap => "fit_then_map",
            };
            let transform = if place.is_known { "known" } else { "found" };
            let noise = if has_noise { "yes" } else { "no, first seed" };
            let _ = writeln!(
                text,
                "| {order} | {transform} | {noise} | {median} | {most} | {p25} | {most_p25} |"
            );
        }
    }
    text.push('\n');
}

fn registration(text: &mut String, report: &KneesReport) {
    text.push_str(
        "## Distance between found and known movement\n\nOver the voxels of the cartilage, of every \
         seventh; mean over the 36 knees, in brackets the largest, mm.\n\n\
         | seed | root mean square | 95th percentile | largest |\n|--:|--:|--:|--:|\n",
    );
    for run in &report.runs {
        let cell = |of: fn(&Placement) -> f64| {
            let values: Vec<f64> = run.placements.iter().map(of).collect();
            let mean = mean(&values).unwrap_or(f64::NAN);
            format!("{mean:.3} ({:.3})", super::largest(&values))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            run.seed,
            cell(|p| p.distances.root_mean_square_mm),
            cell(|p| p.distances.p95_mm),
            cell(|p| p.distances.largest_mm)
        );
    }
    text.push('\n');
}
