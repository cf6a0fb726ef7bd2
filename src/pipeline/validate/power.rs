//! How often a random cohort would reach what a constructed one shows.

use std::fmt::Write;

use crate::cohort::{Design, reached};
use crate::error::Result;

/// Knees of the cohort: one per subject in each group.
const N: usize = 9;
const LEVEL: f64 = 0.05;
const N_COHORTS: usize = 20_000;
const SEED: u64 = 20_190_727;

/// Endpoints of the ultramarathon cohort: group, endpoint, p of the constructed cohort, and the mean
/// over SD of nine differences whose t test has that p.
const ENDPOINTS: [(&str, &str, f64, f64); 4] = [
    ("untreated", "T2 median", 0.037, 0.833),
    ("untreated", "T2 P25", 0.017, 1.001),
    ("treated", "T2 median", 0.24, 0.423),
    ("treated", "T2 P25", 0.16, 0.516),
];

/// Markdown: for the effect of every endpoint, the fraction of simulated cohorts with p < 0.05.
///
/// # Errors
///
/// None that input can bring about.
pub fn power_table() -> Result<String> {
    let mut text = String::from(
        "| knees | endpoint | p of the constructed cohort | d_z | random cohorts with p < 0.05, t | \
         Wilcoxon, exact |\n|---|---|---|---|---|---|\n",
    );
    for (group, endpoint, p, d_z) in ENDPOINTS {
        let found = reached(&Design { n: N, d_z, level: LEVEL }, N_COHORTS, SEED)?;
        let shown = |fraction: f64| {
            let error = found.standard_error(fraction);
            format!("{:.1} ± {:.1} %", 100.0 * fraction, 100.0 * error)
        };
        let (t, wilcoxon) = (shown(found.t), shown(found.wilcoxon));
        let _ = writeln!(text, "| {group} | {endpoint} | {p} | {d_z} | {t} | {wilcoxon} |");
    }
    let _ = write!(
        text,
        "\n{N_COHORTS} cohorts of {N} normal differences each; ± one standard error of the simulation. \
         The exact Wilcoxon test can reach only some p, so without any effect it rejects in 3.9 %, not \
         in 5 %.\n"
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::t_test::t_test;

    #[test]
    fn effects_are_those_of_the_p_they_stand_for() {
        // Nine differences with this mean over SD.
        let shape = [-1.5, -1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0, 1.5];
        let sd = (shape.iter().map(|x| x * x).sum::<f64>() / 8.0).sqrt();
        for (group, endpoint, p, d_z) in ENDPOINTS {
            let found = t_test(&shape.map(|x| x / sd + d_z)).unwrap().p;
            assert!((found - p).abs() < 0.005 * p.max(0.1), "{group} {endpoint} {found}");
        }
    }

    #[test]
    fn every_endpoint_has_its_line() {
        let table = power_table().unwrap();
        assert_eq!(table.lines().filter(|line| line.contains("treated |")).count(), 4, "{table}");
        // The noncentral t distribution: 59.3 % and 74.9 %.
        assert!(table.contains("| 59.") && table.contains("| 74.") || table.contains("| 75."));
    }
}
