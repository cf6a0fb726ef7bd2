//! Knees before and after.

use super::{real, text};
use crate::cohort::{
    Endpoint, Family, Group, KneeValue, PairedRow, Session, Side, knees, paired_rows,
};
use crate::error::Result;
use crate::pipeline::plan::KneePlan;
use crate::statistics::moments::{mean, standard_deviation};
use crate::statistics::quantile::median;
use crate::statistics::rank_test::{ContinuityCorrection, SignedRank, TieCorrection};
use crate::statistics::t_test::TTest;
use crate::table::schemas::PAIRED;
use crate::table::{Row, Table};

/// Columns of `knees` that are compared; the first two are primary for T2.
const STATISTICS: [&str; 5] = ["median", "p25", "mean", "p75", "sd"];

/// What an endpoint is of.
struct Place {
    parameter: String,
    region: String,
    layer: String,
    units: String,
    statistic: &'static str,
}

impl Place {
    fn name(&self) -> String {
        format!("{}_{}", self.parameter, self.statistic)
    }

    /// Median and P25 of T2 are the hypotheses of the study.
    fn is_primary(&self) -> bool {
        self.parameter == "t2" && ["median", "p25"].contains(&self.statistic)
    }
}

/// The `paired` table of all endpoints in `table`.
pub(super) fn table(plan: &KneePlan, table: &Table) -> Result<Table> {
    let places = places(table)?;
    let mut endpoints = Vec::new();
    for place in &places {
        let knees = knees(&values(plan, table, place)?)?;
        endpoints.push(Endpoint { name: place.name(), primary: place.is_primary(), knees });
    }
    let mut paired = Table::new(&PAIRED);
    let rows = paired_rows(&endpoints)?;
    for (index, row) in rows.iter().enumerate() {
        let (place, endpoint) = (&places[index / 4], &endpoints[index / 4]);
        write(plan, place, endpoint, row, &mut paired)?;
    }
    Ok(paired)
}

fn places(table: &Table) -> Result<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    for row in 0..table.n_rows() {
        for statistic in STATISTICS {
            let place = Place {
                parameter: text(table, "parameter", row)?.into(),
                region: text(table, "region", row)?.into(),
                layer: text(table, "layer", row)?.into(),
                units: text(table, "units", row)?.into(),
                statistic,
            };
            let same = |p: &Place| {
                p.name() == place.name() && p.region == place.region && p.layer == place.layer
            };
            if real(table, statistic, row)?.is_some() && !places.iter().any(same) {
                places.push(place);
            }
        }
    }
    Ok(places)
}

fn values(plan: &KneePlan, table: &Table, place: &Place) -> Result<Vec<KneeValue>> {
    let mut values = Vec::new();
    for row in 0..table.n_rows() {
        let here = text(table, "parameter", row)? == place.parameter
            && text(table, "region", row)? == place.region
            && text(table, "layer", row)? == place.layer;
        let session = match text(table, "session_id", row)? {
            id if id == plan.before => Session::Before,
            id if id == plan.after => Session::After,
            _ => continue,
        };
        if here {
            values.push(KneeValue {
                subject: text(table, "participant_id", row)?.into(),
                side: if text(table, "side", row)? == "left" { Side::Left } else { Side::Right },
                treated: text(table, "group", row)? == "treated",
                session,
                value: real(table, place.statistic, row)?,
            });
        }
    }
    Ok(values)
}

fn write(
    plan: &KneePlan,
    place: &Place,
    endpoint: &Endpoint,
    row: &PairedRow,
    table: &mut Table,
) -> Result<()> {
    let group = match row.group {
        Group::Untreated => "control",
        Group::Treated => "treated",
        Group::All => "all",
        Group::Interaction => "interaction",
    };
    if row.n == 0 && row.n_missing == 0 {
        return Ok(());
    }
    let written = table
        .row()
        .text("endpoint", place.name())
        .text("units", &place.units)
        .text("region", &place.region)
        .text("layer", &place.layer)
        .text("group", group)
        .text("before", &plan.before)
        .text("after", &plan.after)
        .integer("n", row.n)
        .integer("n_participants", row.n_subjects)
        .integer("zeros", row.signed_rank.as_ref().map_or(0, |test| test.n_zeros))
        .optional_real("mean_before", row.mean_before)
        .optional_real("mean_after", row.mean_after)
        .optional_real("p_flip", row.sign_flip.map(|flip| flip.p))
        .text("family", if row.family == Family::Primary { "primary" } else { "" })
        .optional_real("p_holm", row.p_holm);
    let written = differences(written, &changes(endpoint, row.group));
    let written = match &row.signed_rank {
        Some(test) => signed_rank(written, test),
        None => written,
    };
    match &row.t_test {
        Some(test) => t_test(written, test).finish(),
        None => written.finish(),
    }
}

/// The differences that a row is about.
fn changes(endpoint: &Endpoint, group: Group) -> Vec<f64> {
    let of = |treated: bool| {
        let knees = endpoint.knees.iter().filter(move |knee| knee.treated == treated);
        knees.filter_map(|knee| Some((knee.subject.clone(), knee.change()?)))
    };
    match group {
        Group::Untreated => of(false).map(|(_, change)| change).collect(),
        Group::Treated => of(true).map(|(_, change)| change).collect(),
        Group::All => of(false).chain(of(true)).map(|(_, change)| change).collect(),
        Group::Interaction => of(false)
            .filter_map(|(subject, control)| {
                let treated = of(true).find(|(other, _)| *other == subject);
                treated.map(|(_, treated)| control - treated)
            })
            .collect(),
    }
}

fn differences<'t>(row: Row<'t>, changes: &[f64]) -> Row<'t> {
    row.optional_real("delta_mean", mean(changes))
        .optional_real("delta_sd", standard_deviation(changes))
        .optional_real("delta_median", median(changes))
}

fn signed_rank<'t>(row: Row<'t>, test: &SignedRank) -> Row<'t> {
    let interval = test.confidence_interval_95;
    row.real("hodges_lehmann", test.hodges_lehmann)
        .optional_real("ci_low", interval.map(|[low, _]| low))
        .optional_real("ci_high", interval.map(|[_, high]| high))
        .real("w_plus", test.w_plus)
        .real("w_minus", test.w_minus)
        .real("w", test.w_plus.min(test.w_minus))
        .optional_real("p_exact", test.p_exact)
        .real(
            "p_asymptotic",
            test.p_asymptotic(ContinuityCorrection::None, TieCorrection::Corrected),
        )
        .real(
            "p_asymptotic_continuity",
            test.p_asymptotic(ContinuityCorrection::Half, TieCorrection::Corrected),
        )
        .real("rank_biserial", test.rank_biserial)
}

fn t_test<'t>(row: Row<'t>, test: &TTest) -> Row<'t> {
    let [low, high] = test.confidence_interval_95;
    row.real("t", test.t)
        .real("degrees_of_freedom", test.degrees_of_freedom as f64)
        .real("p_t", test.p)
        .real("t_ci95_low", low)
        .real("t_ci95_high", high)
        .real("d_z", test.d_z)
}
