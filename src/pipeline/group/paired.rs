//! Knees before and after.

use super::{real, text};
use crate::cohort::{
    Endpoint, Group, HeadlineTest, Knee, KneeValue, PairedRow, PairedSettings, Session, Side,
    knees, paired_rows,
};
use crate::error::Result;
use crate::pipeline::plan::{KneePlan, Plan, STATISTICS, group_name};
use crate::statistics::mixed_model::MixedModel;
use crate::statistics::moments::{mean, standard_deviation};
use crate::statistics::quantile::median;
use crate::statistics::rank_test::{ContinuityCorrection, SignedRank, TieCorrection};
use crate::statistics::t_test::TTest;
use crate::table::schemas::PAIRED;
use crate::table::{Row, Table};

/// What an endpoint is of.
pub(super) struct Place {
    pub(super) parameter: String,
    pub(super) region: String,
    pub(super) layer: String,
    pub(super) units: String,
    pub(super) statistic: &'static str,
}

impl Place {
    pub(super) fn name(&self) -> String {
        format!("{}_{}", self.parameter, self.statistic)
    }
}

/// Regions that a fit or the thickness is measured in as a whole.
pub(super) fn whole_regions(plan: &Plan) -> Vec<&str> {
    let of_fit = plan.fit.iter().map(|fit| fit.region.as_ref().map_or("image", |r| &r.name));
    of_fit.chain(plan.thickness.iter().map(|thickness| thickness.name.as_str())).collect()
}

/// Groups in which the endpoint of `place` is a hypothesis, with their families.
fn families(cohort: &KneePlan, whole: &[&str], place: &Place) -> Vec<(Group, String)> {
    let mut families = Vec::new();
    for family in &cohort.family {
        let is_in_region = if family.regions.is_empty() {
            whole.contains(&place.region.as_str())
        } else {
            family.regions.contains(&place.region)
        };
        if !is_in_region || !family.layers.contains(&place.layer) {
            continue;
        }
        for group in [Group::Untreated, Group::Treated, Group::All, Group::Interaction] {
            if family.holds(&place.name(), group) {
                families.push((group, family.name.clone()));
            }
        }
    }
    families
}

/// The `paired` table of all endpoints in `table`.
pub(super) fn table(plan: &Plan, cohort: &KneePlan, table: &Table) -> Result<Table> {
    let (places, whole) = (places(table)?, whole_regions(plan));
    let mut endpoints = Vec::new();
    for place in &places {
        let knees = knees_of(cohort, table, place)?;
        let families = families(cohort, &whole, place);
        endpoints.push(Endpoint { name: place.name(), families, knees });
    }
    let mut paired = Table::new(&PAIRED);
    let settings = PairedSettings { headline: cohort.headline(), zeros: cohort.zeros() };
    let rows = paired_rows(&endpoints, &settings)?;
    for (index, row) in rows.iter().enumerate() {
        let (place, endpoint) = (&places[index / 4], &endpoints[index / 4]);
        write(cohort, (place, endpoint), row, &mut paired)?;
    }
    Ok(paired)
}

pub(super) fn places(table: &Table) -> Result<Vec<Place>> {
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
                p.statistic == place.statistic
                    && p.parameter == place.parameter
                    && p.region == place.region
                    && p.layer == place.layer
            };
            if real(table, statistic, row)?.is_some() && !places.iter().any(same) {
                places.push(place);
            }
        }
    }
    Ok(places)
}

fn knees_of(cohort: &KneePlan, table: &Table, place: &Place) -> Result<Vec<Knee>> {
    knees(&values(&cohort.before, &cohort.after, table, place)?)
}

/// Values of the sessions `before` and `after`.
pub(super) fn values(
    before: &str,
    after: &str,
    table: &Table,
    place: &Place,
) -> Result<Vec<KneeValue>> {
    let mut values = Vec::new();
    for row in 0..table.n_rows() {
        let here = text(table, "parameter", row)? == place.parameter
            && text(table, "region", row)? == place.region
            && text(table, "layer", row)? == place.layer;
        let session = match text(table, "session_id", row)? {
            id if id == before => Session::Before,
            id if id == after => Session::After,
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
    (place, endpoint): (&Place, &Endpoint),
    row: &PairedRow,
    table: &mut Table,
) -> Result<()> {
    if row.n == 0 && row.n_missing == 0 {
        return Ok(());
    }
    let written = table
        .row()
        .text("endpoint", place.name())
        .text("units", &place.units)
        .text("region", &place.region)
        .text("layer", &place.layer)
        .text("group", group_name(row.group))
        .text("before", &plan.before)
        .text("after", &plan.after)
        .integer("n", row.n)
        .integer("n_participants", row.n_subjects)
        .integer("zeros", row.signed_rank.as_ref().map_or(0, |test| test.n_zeros))
        .optional_real("mean_before", row.mean_before)
        .optional_real("mean_after", row.mean_after)
        .optional_real("p_flip", row.sign_flip.map(|flip| flip.p))
        .optional_real("p_shapiro_wilk", row.shapiro_wilk.map(|test| test.p))
        .optional_text("headline_test", headline_name(plan, row))
        .optional_real("p", row.p)
        .text("family", row.family.as_deref().unwrap_or_default())
        .optional_real("p_holm", row.p_holm);
    let written = differences(written, &changes(endpoint, row.group));
    let written = match &row.mixed_model {
        Some(model) => mixed_model(written, model),
        None => written,
    };
    let written = match &row.signed_rank {
        Some(test) => signed_rank(written, test),
        None => written,
    };
    match &row.t_test {
        Some(test) => t_test(written, test).finish(),
        None => written.finish(),
    }
}

/// The test that `p` of the row comes from.
fn headline_name(plan: &KneePlan, row: &PairedRow) -> Option<&'static str> {
    let has_own = match plan.headline() {
        HeadlineTest::Wilcoxon => row.signed_rank.as_ref().is_some_and(|t| t.p_exact.is_some()),
        HeadlineTest::T => row.t_test.is_some(),
        HeadlineTest::SignFlip => row.sign_flip.is_some(),
    };
    let name = match (has_own, &row.between_subjects) {
        (true, _) => plan.headline_test,
        (false, Some(_)) => "rank_sum",
        (false, None) => "sign_flip",
    };
    row.p.map(|_| name)
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
        .optional_real("ci_level", test.confidence_level)
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

fn mixed_model<'t>(row: Row<'t>, model: &MixedModel) -> Row<'t> {
    row.real("mixed_effect", model.effect)
        .real("mixed_stderr", model.standard_error)
        .real("mixed_degrees_of_freedom", model.degrees_of_freedom)
        .real("p_mixed", model.p)
        .real("mixed_sd_participants", model.between_sd)
        .real("mixed_sd_knees", model.within_sd)
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
