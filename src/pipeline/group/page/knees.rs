//! Knees before and after: the tests, the lines, and every knee.

use super::participants::address;
use super::{cell, count, mean_and_sd, page_unit, probability, table};
use crate::error::Result;
use crate::pipeline::group::{real, text};
use crate::pipeline::pages::written;
use crate::pipeline::plan::KneePlan;
use crate::report::{Cell, Figure, PageTable, Pair, PairFigure, PairPanel};
use crate::table::Table;

/// Tests of the primary endpoints in all groups of knees, and of the other endpoints of the `whole`
/// regions.
pub(super) fn tests(whole: &[&str], paired: &Table) -> Result<[PageTable; 2]> {
    let mut of_primary: Vec<[&str; 3]> = Vec::new();
    for row in 0..paired.n_rows() {
        if !text(paired, "family", row)?.is_empty() {
            of_primary.push(place(paired, row)?);
        }
    }
    let (mut primary, mut others) = (Vec::new(), Vec::new());
    for row in 0..paired.n_rows() {
        let place = place(paired, row)?;
        if of_primary.contains(&place) {
            primary.push(test(whole, paired, row)?);
        } else if is_whole(whole, place) {
            others.push(test(whole, paired, row)?);
        }
    }
    Ok([
        table("Before and after: primary endpoints", CAPTION, &COLUMNS, primary),
        table("Before and after: exploratory endpoints", CAPTION, &COLUMNS, others),
    ])
}

/// Endpoint, region and layer of a row.
fn place(paired: &Table, row: usize) -> Result<[&str; 3]> {
    Ok([text(paired, "endpoint", row)?, text(paired, "region", row)?, text(paired, "layer", row)?])
}

/// Whether an endpoint is of all layers of a whole region.
fn is_whole(whole: &[&str], [_, region, layer]: [&str; 3]) -> bool {
    layer == "full" && whole.contains(&region)
}

const COLUMNS: [&str; 14] = [
    "endpoint",
    "knees",
    "family",
    "n",
    "before",
    "after",
    "change",
    "95 % interval",
    "unit",
    "p Wilcoxon",
    "p t",
    "p flip",
    "headline",
    "p Holm",
];

const CAPTION: &str = "Mean before and after; Hodges–Lehmann change with its exact interval (– where \
                       so few pairs cannot give one); exact Wilcoxon, paired t, exact sign flip of \
                       participants; Holm on the headline p within the family. All: both knees of a participant are \
                       not independent, so only the sign flip is given. Interaction: change of the \
                       control knee minus change of the treated knee. Regions and layers that are no \
                       hypothesis stand in tables/paired.";

fn test(whole: &[&str], paired: &Table, row: usize) -> Result<Vec<Cell>> {
    let [name, region, layer] = place(paired, row)?;
    let name = if is_whole(whole, [name, region, layer]) {
        endpoint(name)
    } else {
        format!("{} · {region}, {layer}", endpoint(name))
    };
    let (factor, unit) = page_unit(text(paired, "units", row)?);
    let low = cell(paired, "ci_low", row, factor)?;
    let interval = match low.as_str() {
        "–" => low,
        low => format!("{low} to {}", cell(paired, "ci_high", row, factor)?),
    };
    Ok(vec![
        name.into(),
        text(paired, "group", row)?.into(),
        match text(paired, "family", row)? {
            "" => "exploratory".into(),
            family => family.into(),
        },
        count(paired, "n", row)?.into(),
        cell(paired, "mean_before", row, factor)?.into(),
        cell(paired, "mean_after", row, factor)?.into(),
        cell(paired, "hodges_lehmann", row, factor)?.into(),
        interval.into(),
        unit.into(),
        probability(paired, "p_exact", row)?.into(),
        probability(paired, "p_t", row)?.into(),
        probability(paired, "p_flip", row)?.into(),
        match text(paired, "headline_test", row)? {
            "" => "–".into(),
            test => test.replace('_', " ").into(),
        },
        probability(paired, "p_holm", row)?.into(),
    ])
}

/// `t2_p25` as `T2 P25`.
pub(super) fn endpoint(name: &str) -> String {
    let (parameter, statistic) = name.rsplit_once('_').unwrap_or((name, ""));
    let statistic = match statistic {
        "sd" => "SD".to_owned(),
        quantile if quantile.starts_with('p') => quantile.to_uppercase(),
        other => other.to_owned(),
    };
    format!("{} {statistic}", written(parameter))
}

/// Median and 25th percentile of every parameter in the `whole` regions, a line per knee.
pub(super) fn figures(
    (plan, whole): (&KneePlan, &[&str]),
    paired: &Table,
    knees: &Table,
) -> Result<Vec<Figure>> {
    let mut done: Vec<String> = Vec::new();
    let mut figures = Vec::new();
    for row in 0..paired.n_rows() {
        let name = text(paired, "endpoint", row)?;
        let Some((parameter, statistic)) = name.rsplit_once('_') else { continue };
        let region = text(paired, "region", row)?;
        let key = format!("{name} {region}");
        let is_shown = is_whole(whole, place(paired, row)?);
        if !is_shown || !["median", "p25"].contains(&statistic) || done.contains(&key) {
            continue;
        }
        done.push(key);
        let (factor, unit) = page_unit(text(paired, "units", row)?);
        let of = Lines { plan, knees, parameter, statistic, region, factor };
        let mut panels = Vec::new();
        for group in ["control", "treated"] {
            panels.push(PairPanel {
                name: format!("{group} knees"),
                pairs: of.pairs(group)?,
                means: means(paired, [name, region, group], factor)?,
            });
        }
        panels.retain(|panel| !panel.pairs.is_empty());
        let title = endpoint(name);
        figures.push(Figure::Pairs(PairFigure {
            title: format!("{title} · {}", region.replace('_', " ")),
            axis: format!("{title} [{unit}]"),
            caption: "One line per knee; the heavy line joins the means.".into(),
            times: [plan.before.clone(), plan.after.clone()],
            panels,
        }));
    }
    Ok(figures)
}

fn means(
    paired: &Table,
    [endpoint, region, group]: [&str; 3],
    factor: f64,
) -> Result<Option<[f64; 2]>> {
    for row in 0..paired.n_rows() {
        let is_it = text(paired, "endpoint", row)? == endpoint
            && text(paired, "region", row)? == region
            && text(paired, "layer", row)? == "full"
            && text(paired, "group", row)? == group;
        if is_it {
            let before = real(paired, "mean_before", row)?;
            let after = real(paired, "mean_after", row)?;
            return Ok(before.zip(after).map(|(a, b)| [a * factor, b * factor]));
        }
    }
    Ok(None)
}

/// The knees of one endpoint.
struct Lines<'a> {
    plan: &'a KneePlan,
    knees: &'a Table,
    parameter: &'a str,
    statistic: &'a str,
    region: &'a str,
    factor: f64,
}

impl Lines<'_> {
    /// Knees of `group` that have a value before and after.
    fn pairs(&self, group: &str) -> Result<Vec<Pair>> {
        let mut pairs = Vec::new();
        for row in 0..self.knees.n_rows() {
            let is_before = text(self.knees, "session_id", row)? == self.plan.before;
            if !is_before || text(self.knees, "group", row)? != group || !self.is_of(row)? {
                continue;
            }
            let participant = text(self.knees, "participant_id", row)?;
            let side = text(self.knees, "side", row)?;
            let before = real(self.knees, self.statistic, row)?;
            if let Some((before, after)) = before.zip(self.after(participant, side)?) {
                let values = [before * self.factor, after * self.factor];
                pairs.push(Pair { name: format!("{participant} {side}"), values });
            }
        }
        Ok(pairs)
    }

    fn after(&self, participant: &str, side: &str) -> Result<Option<f64>> {
        for row in 0..self.knees.n_rows() {
            let is_it = text(self.knees, "session_id", row)? == self.plan.after
                && text(self.knees, "participant_id", row)? == participant
                && text(self.knees, "side", row)? == side
                && self.is_of(row)?;
            if is_it {
                return real(self.knees, self.statistic, row);
            }
        }
        Ok(None)
    }

    fn is_of(&self, row: usize) -> Result<bool> {
        Ok(text(self.knees, "parameter", row)? == self.parameter
            && text(self.knees, "region", row)? == self.region
            && text(self.knees, "layer", row)? == "full")
    }
}

/// One row per knee, session and parameter in the `whole` regions.
pub(super) fn knees(whole: &[&str], knees: &Table) -> Result<PageTable> {
    let mut rows = Vec::new();
    for row in 0..knees.n_rows() {
        let (factor, unit) = page_unit(text(knees, "units", row)?);
        let participant = text(knees, "participant_id", row)?;
        let session = text(knees, "session_id", row)?;
        if !is_whole(whole, ["", text(knees, "region", row)?, text(knees, "layer", row)?]) {
            continue;
        }
        rows.push(vec![
            Cell::linked(participant, address(participant, session)),
            session.into(),
            text(knees, "side", row)?.into(),
            text(knees, "group", row)?.into(),
            written(text(knees, "parameter", row)?).into(),
            cell(knees, "median", row, factor)?.into(),
            cell(knees, "p25", row, factor)?.into(),
            mean_and_sd(knees, "", row, factor)?.into(),
            count(knees, "n", row)?.into(),
            unit.into(),
        ]);
    }
    Ok(table(
        "Knees",
        "T2 over the kept voxels, thickness over the points of the articular surface; mean ± \
         standard deviation over them. Regions and layers stand in tables/knees.",
        &[
            "participant",
            "session",
            "side",
            "group",
            "parameter",
            "median",
            "P25",
            "mean",
            "n",
            "unit",
        ],
        rows,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::table::schemas::{KNEES, PAIRED};

    fn paired() -> Table {
        let mut table = Table::new(&PAIRED);
        for (group, family) in [("control", "primary"), ("treated", "")] {
            let row = table
                .row()
                .text("endpoint", "t2_median")
                .text("units", "s")
                .text("region", "cartilage")
                .text("layer", "full")
                .text("group", group)
                .text("before", "ses-pre")
                .text("after", "ses-post")
                .integer("n", 1_usize)
                .integer("n_participants", 1_usize)
                .integer("zeros", 0_usize);
            let row = row.real("mean_before", 0.0388).real("mean_after", 0.0402);
            row.text("family", family).finish().unwrap();
        }
        table
    }

    fn knee_rows() -> Table {
        let mut table = Table::new(&KNEES);
        for (participant, session, median) in [
            ("sub-01", "ses-post", 0.0386),
            ("sub-01", "ses-pre", 0.0392),
            ("sub-02", "ses-pre", 0.0400),
        ] {
            let row = table
                .row()
                .text("participant_id", participant)
                .text("session_id", session)
                .text("side", "right")
                .text("group", "control")
                .text("region", "cartilage")
                .text("layer", "full")
                .text("parameter", "t2")
                .text("units", "s");
            row.integer("n", 9_usize).real("median", median).finish().unwrap();
        }
        table
    }

    #[test]
    fn a_primary_endpoint_is_shown_for_all_groups_of_knees() {
        let [primary, others] = tests(&["cartilage"], &paired()).unwrap();
        let families: Vec<&str> = primary.rows.iter().map(|row| row[2].text.as_str()).collect();
        assert_eq!(families, ["primary", "exploratory"]);
        assert_eq!(primary.rows[0][4].text, "38.8");
        assert!(others.rows.is_empty());
        // Of a part: named where it is a hypothesis.
        let [primary, _] = tests(&["femur"], &paired()).unwrap();
        assert_eq!(primary.rows[0][0].text, "T2 median · cartilage, full");
        assert!(knees(&["femur"], &knee_rows()).unwrap().rows.is_empty());
        assert_eq!(knees(&["cartilage"], &knee_rows()).unwrap().rows.len(), 3);
    }

    #[test]
    fn only_knees_with_both_sessions_are_lines() {
        let plan = KneePlan::of_sessions("ses-pre", "ses-post");
        let figures = figures((&plan, &["cartilage"]), &paired(), &knee_rows()).unwrap();
        let [Figure::Pairs(figure)] = &figures[..] else { panic!("{figures:?}") };
        assert_eq!(figure.panels.len(), 1, "no treated knee, no panel");
        let [pair] = &figure.panels[0].pairs[..] else { panic!("{figure:?}") };
        assert_eq!(pair.name, "sub-01 right");
        let [before, after] = pair.values;
        assert!((before - 39.2).abs() < 1e-9 && (after - 38.6).abs() < 1e-9);
    }

    #[test]
    fn endpoints_are_written_as_people_do() {
        let names = ["t2_median", "t2_p25", "thickness_sd"].map(endpoint);
        assert_eq!(names, ["T2 median", "T2 P25", "thickness SD"]);
    }
}
