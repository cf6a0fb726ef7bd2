//! The table as Markdown: the same bytes for the same numbers.

use std::fmt::Write;

use super::{Cell, CoverageReport, expected_coverage};
use crate::pipeline::provenance::VERSION;

const INTRODUCTION: &str = "\
Written by `biomarker validate --coverage`; never edited by hand. Voxels of known truth are drawn with \
noise, fitted by least squares, and given the intervals of their own pseudo-experiments; σ is known. \
Noise is Rician unless Gaussian is said, and pseudo-experiments draw the same, except for IAUC60, which \
has no model: there they draw Gaussian noise around the observed samples. *SNR* is S₀/σ for ADC and T2, \
the largest of the signals over σ for T1, the signal before contrast over σ for IAUC60.

*Intervals* is the share of voxels that have one: the others did not converge inside the bounds, or \
more than 5 % of their pseudo-experiments gave no estimate. *68.27 %* and *95 %* are the shares of \
intervals that hold the truth, in percent, with their binomial standard error. *Bias* and *SD* are of the \
estimates with an interval, in percent of the truth. *Stated SD* is the mean SD of the pseudo-experiments \
over the SD of the estimates. The verdict is `holds` where both shares are within three standard errors \
of what they should be, else the direction of the interval that is off.

Intervals of pseudo-experiments are drawn around the estimate. Where the estimate is biased (the Rician \
floor at low SNR, most for fast decays) they are drawn around the wrong place, and where the spread \
depends on the truth they have the wrong width: that is what the rows that do not hold show. The bias \
of the pseudo-experiments says so per voxel; the intervals are not corrected for it. For T2 at SNR 5 and \
10 a few estimates are many times too long: mean and SD are theirs, and intervals say more. Where all \
intervals are exact, one table in three has a row that does not hold by chance.
";

/// The whole page.
pub(super) fn render(report: &CoverageReport) -> String {
    let settings = report.settings;
    let [central, wide] = expected_coverage(settings.n_replicates).map(|p| 100.0 * p);
    let mut text = format!("# Coverage of the intervals\n\n{INTRODUCTION}\n");
    let holding = report.cells().filter(|cell| cell.holds(settings.n_replicates)).count();
    let _ = writeln!(
        text,
        "biomarker {VERSION}, seed {}: {} voxels per row, {} pseudo-experiments per voxel, from which \
         exact intervals hold the truth in {central:.2} % and {wide:.2} %. {holding} of {} rows hold.\n",
        settings.seed,
        settings.n_voxels,
        settings.n_replicates,
        report.cells().count(),
    );
    for row in &report.rows {
        let _ = writeln!(text, "## {}\n", row.title);
        text.push_str("| SNR | intervals | 68.27 % | 95 % | bias | SD | stated SD | verdict |\n");
        text.push_str("|--:|--:|--:|--:|--:|--:|--:|---|\n");
        for cell in &row.cells {
            cell_line(&mut text, cell, report);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn cell_line(text: &mut String, cell: &Cell, report: &CoverageReport) {
    let settings = report.settings;
    let [central, wide] = cell.coverage.map(|share| 100.0 * share);
    let [error, wide_error] = cell.standard_errors(settings.n_replicates).map(|e| 100.0 * e);
    let _ = writeln!(
        text,
        "| {} | {:.1} % | {central:.1} ± {error:.1} | {wide:.1} ± {wide_error:.1} | {:+.2} | {:.2} | {:.3} \
         | {} |",
        cell.signal_to_noise,
        100.0 * cell.n_intervals as f64 / settings.n_voxels as f64,
        100.0 * cell.bias,
        100.0 * cell.relative_sd,
        cell.sd_ratio,
        verdict(cell, settings.n_replicates)
    );
}

fn verdict(cell: &Cell, n_replicates: u32) -> String {
    if cell.n_intervals == 0 {
        return "no interval".into();
    }
    if cell.holds(n_replicates) {
        return "holds".into();
    }
    let said = |z: f64| match z {
        z if z < -super::LIMIT => Some("too few"),
        z if z > super::LIMIT => Some("too many"),
        _ => None,
    };
    let [central, wide] = cell.deviations(n_replicates).map(said);
    let named = [("68.27 %", central), ("95 %", wide)];
    let parts: Vec<String> = named
        .iter()
        .filter_map(|(name, off)| off.map(|off| format!("**{name}: {off}**")))
        .collect();
    parts.join(", ")
}
