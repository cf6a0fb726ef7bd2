//! Knees measured twice in the same state.

use std::collections::BTreeSet;

use super::paired::{Place, places, values};
use crate::cohort::{Knee, knees};
use crate::error::Result;
use crate::pipeline::plan::RetestPlan;
use crate::statistics::moments::mean;
use crate::statistics::repeatability::{Repeatability, WithInterval, repeatability};
use crate::table::schemas::REPEATABILITY;
use crate::table::{Row, Table};

/// 1.96·√2: repeats of one knee differ by less than so many within-knee SDs in 95 %.
const COEFFICIENT: f64 = 2.771_807_648_699_356;

/// The `repeatability` table of all endpoints in `table`.
pub(super) fn table(plan: &RetestPlan, table: &Table) -> Result<Table> {
    let mut repeated = Table::new(&REPEATABILITY);
    for place in places(table)? {
        let all = knees(&values(&plan.first, &plan.second, table, &place)?)?;
        let complete: Vec<&Knee> = all.iter().filter(|knee| knee.change().is_some()).collect();
        write(plan, &place, &complete, &mut repeated)?;
    }
    Ok(repeated)
}

fn write(plan: &RetestPlan, place: &Place, knees: &[&Knee], table: &mut Table) -> Result<()> {
    let pairs: Vec<[f64; 2]> =
        knees.iter().filter_map(|knee| Some([knee.before?, knee.after?])).collect();
    let participants: BTreeSet<&str> = knees.iter().map(|knee| knee.subject.as_str()).collect();
    let row = table
        .row()
        .text("endpoint", place.name())
        .text("units", &place.units)
        .text("region", &place.region)
        .text("layer", &place.layer)
        .text("first", &plan.first)
        .text("second", &plan.second)
        .integer("n", pairs.len())
        .integer("n_participants", participants.len())
        .optional_real("mean", mean(pairs.as_flattened()));
    match repeatability(&pairs) {
        Ok(found) => columns(row, &found).finish(),
        Err(_) => row.text("exclusion_reason", "fewer than two knees measured twice").finish(),
    }
}

fn columns<'t>(row: Row<'t>, found: &Repeatability) -> Row<'t> {
    let row = with_interval(row, SD, Some(found.within_sd));
    let row = with_interval(row, COEFFICIENT_COLUMNS, Some(found.coefficient));
    let percent = found.within_cv.map(|cv| 100.0 * cv);
    let row = row
        .optional_real("within_cv_percent", percent)
        .optional_real("detectable_change_percent", percent.map(|cv| COEFFICIENT * cv));
    let row = with_interval(row, BIAS, Some(found.bias));
    let row = with_interval(row, LIMITS[0], Some(found.limits[0]));
    let row = with_interval(row, LIMITS[1], Some(found.limits[1]));
    let row = with_interval(row, AGREEMENT, found.icc_agreement);
    with_interval(row, CONSISTENCY, found.icc_consistency)
}

/// Columns of a number and of the ends of its interval.
type Columns = [&'static str; 3];

const SD: Columns = ["within_sd", "within_sd_ci95_low", "within_sd_ci95_high"];
const COEFFICIENT_COLUMNS: Columns =
    ["repeatability_coefficient", "repeatability_ci95_low", "repeatability_ci95_high"];
const BIAS: Columns = ["bias", "bias_ci95_low", "bias_ci95_high"];
const LIMITS: [Columns; 2] = [
    ["limit_low", "limit_low_ci95_low", "limit_low_ci95_high"],
    ["limit_high", "limit_high_ci95_low", "limit_high_ci95_high"],
];
const AGREEMENT: Columns = ["icc_2_1", "icc_2_1_ci95_low", "icc_2_1_ci95_high"];
const CONSISTENCY: Columns = ["icc_3_1", "icc_3_1_ci95_low", "icc_3_1_ci95_high"];

fn with_interval(
    row: Row<'_>,
    [name, low, high]: Columns,
    number: Option<WithInterval>,
) -> Row<'_> {
    row.optional_real(name, number.map(|number| number.value))
        .optional_real(low, number.map(|number| number.interval_95[0]))
        .optional_real(high, number.map(|number| number.interval_95[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schemas::KNEES;

    fn knees_table() -> Table {
        let mut table = Table::new(&KNEES);
        for (subject, session, median) in [
            ("sub-01", "ses-a", 40.0),
            ("sub-01", "ses-b", 41.0),
            ("sub-02", "ses-a", 36.0),
            ("sub-02", "ses-b", 36.0),
            ("sub-03", "ses-a", 44.0),
            ("sub-03", "ses-b", 42.0),
            ("sub-04", "ses-a", 39.0),
        ] {
            let row = table.row().text("participant_id", subject).text("session_id", session);
            let row = row.text("side", "left").text("group", "control").text("region", "femur");
            let row = row.text("layer", "full").text("parameter", "t2").text("units", "ms");
            row.integer("n", 9_usize).real("median", median).finish().unwrap();
        }
        table
    }

    #[test]
    fn knees_with_both_sessions_are_described() {
        let plan = RetestPlan { first: "ses-a".into(), second: "ses-b".into() };
        let found = table(&plan, &knees_table()).unwrap();
        assert_eq!(found.n_rows(), 1);
        let real = |column: &str| found.reals(column).unwrap()[0].unwrap();
        // Differences 1, 0, −2: Σd² = 5 over 2·3.
        assert!((real("within_sd") - (5.0_f64 / 6.0).sqrt()).abs() < 1e-12);
        let ratio = real("repeatability_coefficient") / real("within_sd");
        assert!((ratio - COEFFICIENT).abs() < 1e-12);
        assert!((real("bias") + 1.0 / 3.0).abs() < 1e-12);
        let percent = real("detectable_change_percent") / real("within_cv_percent");
        assert!((percent - COEFFICIENT).abs() < 1e-12);
        assert_eq!(found.integers("n").unwrap()[0], Some(3));
        let none = RetestPlan { first: "ses-a".into(), second: "ses-c".into() };
        let empty = table(&none, &knees_table()).unwrap();
        assert_eq!(empty.reals("within_sd").unwrap()[0], None);
        let reasons = empty.texts("exclusion_reason").unwrap();
        assert_eq!(reasons.get(0), Some("fewer than two knees measured twice"));
    }
}
