//! The page of one session: every number handed over in the unit of the page.

mod inputs;
mod maps;
mod outcome;
mod unrolled;

use super::measure;
use super::plan::{
    CohortPlan, FitPlan, LabelErrorPlan, Motion, Plan, RegistrationOrder, ThicknessPlan,
    TransformKind,
};
use super::provenance::{Provenance, VERSION};
use super::rows;
use super::session::{FitResult, SessionResult, ThicknessResult};
use super::voxels::Selection;
use crate::error::Result;
use crate::report::{
    Answer, Distribution, Exclusion, Facts, Headline, HistogramFigure, Level, Notice, Page, notice,
};
use crate::statistics::first_order::FirstOrder;

/// Said on every page made from simulated data.
pub const SIMULATED: &str = "These data are simulated: their truth was designed, and nothing here \
                             says anything about a patient.";

/// Said where nothing was moved.
const NOT_REGISTERED: &str = "Nothing was registered: series, regions and maps are brought together \
                              by their scanner coordinates alone, and motion between volumes is not \
                              corrected.";

/// What was done about movement, and how far the errors of it are carried.
pub fn movement_notes(plan: &Plan) -> Vec<String> {
    let notes: Vec<String> = plan.fit.iter().flat_map(movement_of_fit).collect();
    if notes.is_empty() { vec![NOT_REGISTERED.into()] } else { notes }
}

fn movement_of_fit(fit: &FitPlan) -> Vec<String> {
    let mut notes = Vec::new();
    if fit.motion == Motion::Rigid {
        notes.push(format!("{}: every volume was moved rigidly onto the reference.", fit.name));
    }
    if fit.region.as_ref().is_some_and(|region| region.register_from.is_some()) {
        let name = &fit.name;
        notes.push(format!("{name}: the image of the region was moved rigidly onto the series."));
    }
    let Some(registration) = &fit.registration else { return notes };
    let transform = match registration.kind {
        TransformKind::Rigid => "a rigid transform".to_owned(),
        TransformKind::FreeForm => format!(
            "a cubic B-spline deformation, control points {} mm apart (Rueckert et al., \
             doi:10.1109/42.796284), on top of a rigid transform",
            registration.control_spacing_mm[1]
        ),
    };
    let order = match registration.order {
        RegistrationOrder::RegisterThenFit => {
            "signals were interpolated on the grid of the anatomical image and fitted there, σ of \
             each voxel times √Σw² over the weights"
        }
        RegistrationOrder::FitThenMap => {
            "signals were fitted where they were measured and the region was carried to them"
        }
    };
    let sd_mm = fit.uncertainty.registration_sd_mm;
    let error = if sd_mm > 0.0 {
        format!("moved by {sd_mm} mm (SD along each axis) in the pseudo-experiments of the region")
    } else {
        "taken as exact".to_owned()
    };
    notes.push(format!(
        "{}: the series was registered to the anatomical image by {transform} ({}); {order}. The \
         transform is {error}.",
        fit.name,
        registration.metric.replace('_', " ")
    ));
    notes
}

const THICKNESS: &str = "Thickness is the distance from each point of the articular surface to the \
                         nearest point of the bone–cartilage interface, both at half the smoothed \
                         label (Felzenszwalb and Huttenlocher, doi:10.4086/toc.2012.v008a019).";

/// How the cartilage was divided, and how wrong its labels were taken to be.
fn parts_note(plan: &ThicknessPlan) -> Vec<String> {
    let mut notes = Vec::new();
    if plan.needs_axis() {
        notes.push(REGIONS.to_owned());
    }
    if plan.needs_depth() {
        notes.push(DEPTH.to_owned());
    }
    if let Some(LabelErrorPlan { pseudo_experiments, sd_mm, correlation_mm }) = plan.uncertainty {
        notes.push(format!(
            "Standard errors of thickness: {pseudo_experiments} pseudo-experiments, in each of which \
             both surfaces were moved along their normals by a Gaussian random field of {sd_mm} mm \
             (SD) that correlates over {correlation_mm} mm."
        ));
    }
    notes
}

const REGIONS: &str = "Regions of the femoral cartilage by the angle about a circle through it in the \
                       sagittal plane (central −105° to −75°) and by the mean left–right position; \
                       names as Eckstein et al., doi:10.1016/j.joca.2006.03.005. Their numbers stand \
                       in tables/knees and tables/thickness.";

const DEPTH: &str = "Depth is the distance to the bone over the sum of the distances to bone and joint, \
                     at the centre of the voxel. A layer is reported where two measured voxels fit \
                     across it.";

/// The page of a session.
///
/// # Errors
///
/// As histograms and the registry of measures.
pub fn session(plan: &Plan, result: &SessionResult<'_>, provenance: &Provenance) -> Result<Page> {
    let mut page = Page {
        title: result.item.name().replace('_', " · "),
        study: plan.study.name.clone(),
        links: vec![("All participants".into(), "index.html".into())],
        notices: general_notices(plan),
        ..Page::default()
    };
    page.inputs.extend(participant(plan, result));
    for fit in &result.fits {
        for warning in &fit.warnings {
            warn(&mut page.notices, &title(fit), warning);
        }
        page.headlines.push(headline(fit));
        page.inputs.push(inputs::of_fit(result, fit, title(fit)));
        page.maps.extend(maps::of_fit(fit));
        page.histograms.push(histogram(fit)?);
        page.exclusions.extend(exclusions(fit));
        extend_once(&mut page.methods, methods(fit)?);
    }
    for thickness in &result.thickness {
        let name = rows::thickness_region(thickness).replace('_', " ");
        for warning in &thickness.thickness.warnings {
            warn(&mut page.notices, &format!("thickness · {name}"), &warning.to_string());
        }
        page.headlines.push(thickness_headline(thickness));
        page.maps.push(maps::of_thickness(thickness));
        page.inputs.push(inputs::of_thickness(result, thickness));
    }
    page.maps.extend(unrolled::figures(result)?);
    if !result.thickness.is_empty() {
        page.methods.push(THICKNESS.into());
    }
    extend_once(&mut page.methods, plan.thickness.iter().flat_map(parts_note).collect());
    extend_once(&mut page.methods, movement_notes(plan));
    page.provenance = provenance_rows(provenance, plan.study.seed);
    Ok(page)
}

/// What is said on every page of a pipeline.
pub fn general_notices(plan: &Plan) -> Vec<Notice> {
    let is_simulated = plan.study.simulated.then(|| Notice::of_page(Level::Remark, SIMULATED));
    is_simulated.into_iter().collect()
}

/// Version, plan and seed of a run.
pub fn provenance_rows(provenance: &Provenance, seed: u64) -> Vec<(String, String)> {
    vec![
        ("Program".into(), format!("biomarker {VERSION}")),
        ("Plan (SHA-256)".into(), provenance.plan_sha256.clone()),
        ("Seed".into(), seed.to_string()),
    ]
}

/// A value in the unit of the page, with three significant digits.
pub fn shown(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    if value.abs() < 1e-300 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let digits = (2 - magnitude).clamp(0, 6) as usize;
    format!("{value:.digits$}")
}

/// Mean and standard deviation with as many decimals as the mean has, `1.20 ± 0.12`.
pub fn spread(mean: f64, standard_deviation: f64) -> String {
    let mean = shown(mean);
    let digits = mean.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    if standard_deviation.is_finite() {
        format!("{mean} ± {standard_deviation:.digits$}")
    } else {
        format!("{mean} ± –")
    }
}

/// A short name of a parameter as people write it, such as `T2`; other words stay.
pub fn written(short_name: &str) -> String {
    let is_abbreviation =
        ["adc", "t1", "t2", "r1", "r2"].contains(&short_name) || short_name.starts_with("iauc");
    if is_abbreviation { short_name.to_uppercase() } else { short_name.replace('_', " ") }
}

/// Fit and region as on every heading of the page.
fn title(fit: &FitResult<'_>) -> String {
    format!("{} · {}", written(&fit.plan.name), fit.region.replace('_', " "))
}

/// Groups warnings that differ only in their numbers, which stand behind a colon.
fn warn(notices: &mut Vec<Notice>, place: &str, warning: &str) {
    match warning.split_once(": ") {
        Some((what, numbers)) => {
            notice(notices, Level::Warning, &format!("{place}: {numbers}"), what);
        }
        None => notice(notices, Level::Warning, place, warning),
    }
}

fn extend_once(sentences: &mut Vec<String>, more: Vec<String>) {
    for sentence in more {
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
}

/// What the cohort compares, as `participants.tsv` says it of this participant.
fn participant(plan: &Plan, result: &SessionResult<'_>) -> Option<Facts> {
    let column = match plan.cohort.as_ref()? {
        CohortPlan::Tumours(tumours) => tumours.class_column.as_str(),
        CohortPlan::Knees(knees) => knees.treatment.column()?,
    };
    let value = result.item.values.get(column).map_or("–", String::as_str);
    let pairs = vec![(column.replace('_', " "), value.to_owned())];
    Some(Facts { title: "participant".into(), pairs })
}

/// Mean and SD; `None` where too little is left for a number.
fn answer(name: &str, number: Option<(f64, Option<f64>)>, factor: f64, detail: String) -> Answer {
    let (value, percent) = match number {
        None => ("insufficient".to_owned(), String::new()),
        Some((mean, None)) => (shown(mean * factor), String::new()),
        Some((mean, Some(sd))) => {
            (spread(mean * factor, sd * factor), format!("{:.0} %", 100.0 * sd / mean))
        }
    };
    Answer { name: name.to_owned(), value, percent, detail }
}

/// Voxels, median, and what the mean would vary by if everything after the scan were repeated.
fn detail(features: Option<&FirstOrder>, standard_error: Option<f64>, factor: f64) -> String {
    let Some(f) = features else { return String::new() };
    let error = standard_error
        .map(|error| format!(", standard error of the mean {}", shown(error * factor)));
    let median = shown(f.median * factor);
    format!("n = {} voxels, median {median}{}", f.n, error.unwrap_or_default())
}

fn headline(fit: &FitResult<'_>) -> Headline {
    let parameter = fit.headline();
    let factor = parameter.unit.page_factor();
    let of = |places: &[usize]| FirstOrder::of(&fit.voxels.values(0, places));
    let naive = of(&fit.voxels.places(Selection::Naive));
    let places = rows::method_places(fit).and_then(|places| of(&places));
    let method = fit.voxels.method.as_ref();
    let error = method.and_then(|method| method.repeated?.standard_error);
    let method = method.map(|method| (method.mean, method.standard_deviation));
    let plain = naive.as_ref().map(|naive| (naive.mean, naive.standard_deviation));
    let gate = &fit.voxels.gate;
    let way = match (&fit.voxels.groups, &fit.plan.habitat) {
        (Some(groups), Some(plan)) if groups.habitats.k() > 1 => {
            format!("reported habitat, {} of {}", plan.report, groups.habitats.k())
        }
        _ => "kept voxels".into(),
    };
    Headline {
        label: title(fit),
        unit: parameter.unit.page_symbol().into(),
        answers: vec![
            answer(&way, method, factor, detail(places.as_ref(), error, factor)),
            answer("voxel by voxel", plain, factor, detail(naive.as_ref(), None, factor)),
        ],
        note: format!(
            "± is the standard deviation over voxels, in percent of the mean in brackets. The gate \
             kept {} of {} voxels ({:.1} %).",
            gate.keep.len(),
            gate.n_voxels(),
            100.0 * gate.kept_fraction()
        ),
    }
}

fn thickness_headline(result: &ThicknessResult<'_>) -> Headline {
    let summary = &result.thickness.summary;
    let [mean, sd] = [summary.mean_mm, summary.sd_mm];
    Headline {
        label: format!("thickness · {}", rows::thickness_region(result).replace('_', " ")),
        unit: "mm".into(),
        answers: vec![Answer {
            name: "articular surface, weighted by area".into(),
            value: spread(mean, sd),
            percent: format!("{:.0} %", 100.0 * sd / mean),
            detail: format!(
                "n = {} points, median {}, 25th percentile {}",
                summary.n_points,
                shown(summary.median_mm),
                shown(summary.p25_mm)
            ),
        }],
        note: format!(
            "Surface {} mm², cartilage volume {:.0} mm³.",
            shown(summary.area_mm2),
            summary.volume_mm3
        ),
    }
}

fn histogram(fit: &FitResult<'_>) -> Result<HistogramFigure> {
    let histograms = rows::histograms(fit)?;
    let parameter = fit.headline();
    let factor = parameter.unit.page_factor();
    let named = |selection: Selection| match selection {
        Selection::Naive => "all voxels",
        Selection::Gated => "after the gate",
        Selection::Habitat => "reported habitat",
    };
    let edges = histograms.first().map_or(&[][..], |(_, widest)| &widest.edges);
    let distribution = |selection: Selection, counts: &[u64]| {
        let values = fit.voxels.values(0, &fit.voxels.places(selection));
        Distribution {
            name: named(selection).into(),
            counts: counts.to_vec(),
            mean: FirstOrder::of(&values).map(|features| features.mean * factor),
        }
    };
    Ok(HistogramFigure {
        title: title(fit),
        axis: format!("{} [{}]", written(&fit.plan.name), parameter.unit.page_symbol()),
        edges: edges.iter().map(|edge| edge * factor).collect(),
        distributions: histograms
            .iter()
            .map(|(selection, histogram)| distribution(*selection, &histogram.counts))
            .collect(),
    })
}

fn exclusions(fit: &FitResult<'_>) -> Vec<Exclusion> {
    let mut counted: Vec<(outcome::Outcome, u64)> = Vec::new();
    for outcome in outcome::outcomes(fit) {
        match counted.iter_mut().find(|(own, _)| *own == outcome) {
            Some((_, count)) => *count += 1,
            None => counted.push((outcome, 1)),
        }
    }
    counted.sort();
    let n_region = fit.voxels.gate.n_voxels().max(1) as f64;
    let row = |(outcome, n_voxels): (outcome::Outcome, u64)| Exclusion {
        place: title(fit),
        reason: outcome.name,
        n_voxels,
        fraction: n_voxels as f64 / n_region,
    };
    counted.into_iter().map(row).collect()
}

fn methods(fit: &FitResult<'_>) -> Result<Vec<String>> {
    let name = written(&fit.plan.name);
    let measure = measure::named(&fit.plan.model)?;
    let mut sentences = vec![format!(
        "{name}: {} was fitted per voxel by {} ({}).",
        measure.equation, fit.plan.estimator, measure.reference
    )];
    if fit.plan.dynamic.is_some() {
        sentences[0] =
            format!("{name}: {} was found per voxel ({}).", measure.equation, measure.reference);
    }
    let replicates = fit.plan.uncertainty.pseudo_experiments;
    if replicates > 0 {
        let gate = &fit.plan.gate;
        let left_out = gate.minimum_stability.map_or_else(
            || format!("more than {:.0} % relative uncertainty", 100.0 * gate.maximum_uncertainty),
            |least| format!("less than {:.0} % of them in their habitat", 100.0 * least),
        );
        sentences.push(format!(
            "Each voxel was measured again in {replicates} pseudo-experiments with the noise level \
             found in the data; voxels with {left_out} were left out.",
        ));
    }
    if let Some(habitat) = &fit.plan.habitat {
        sentences.push(format!(
            "{name}: the kept voxels were grouped by {} and the habitat of {} mean is reported.",
            habitat.method.replace('_', " "),
            habitat.report
        ));
    }
    Ok(sentences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_three_digits() {
        let texts = [0.012_34, 1.234, 12.34, 1234.0, -0.5, 0.0, f64::NAN].map(shown);
        assert_eq!(texts, ["0.0123", "1.23", "12.3", "1234", "-0.500", "0", "–"]);
    }

    #[test]
    fn a_spread_has_the_decimals_of_its_mean() {
        assert_eq!(spread(2.419, 0.3168), "2.42 ± 0.32");
        assert_eq!(spread(1290.0, 12.6), "1290 ± 13");
        assert_eq!(spread(1.0, f64::NAN), "1.00 ± –");
    }

    #[test]
    fn parameters_are_written_as_people_do() {
        let texts = ["adc", "t2", "iauc60", "thickness", "my_fit"].map(written);
        assert_eq!(texts, ["ADC", "T2", "IAUC60", "thickness", "my fit"]);
    }

    #[test]
    fn warnings_that_differ_in_numbers_are_one_notice() {
        let mut notices = Vec::new();
        warn(&mut notices, "T2 · right", "region carried, not registered: 3.17 mL drawn");
        warn(&mut notices, "T2 · left", "region carried, not registered: 2.94 mL drawn");
        warn(&mut notices, "T2 · left", "slices do not touch");
        assert_eq!(notices.len(), 2);
        assert_eq!(notices[0].text, "region carried, not registered");
        assert_eq!(notices[0].places, ["T2 · right: 3.17 mL drawn", "T2 · left: 2.94 mL drawn"]);
    }

    #[test]
    fn an_answer_has_spread_and_percent_or_says_that_it_is_insufficient() {
        let said = answer("way", Some((1.2e-3, Some(2e-4))), 1e3, String::new());
        assert_eq!((said.value.as_str(), said.percent.as_str()), ("1.20 ± 0.20", "17 %"));
        assert_eq!(answer("way", None, 1e3, String::new()).value, "insufficient");
        let features = FirstOrder::of(&[1.0e-3, 1.2e-3, 1.4e-3]);
        assert_eq!(
            detail(features.as_ref(), Some(1e-5), 1e3),
            "n = 3 voxels, median 1.20, standard error of the mean 0.0100"
        );
    }
}
