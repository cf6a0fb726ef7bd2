//! The page of one session: every number handed over in the unit of the page.

use super::measure;
use super::plan::Plan;
use super::provenance::{Provenance, VERSION};
use super::rows;
use super::session::{FitResult, SessionResult, ThicknessResult};
use super::voxels::Selection;
use crate::acquisition::Protocol;
use crate::error::Result;
use crate::image::{Mask, Volume};
use crate::model::Parameter;
use crate::report::{Exclusion, Headline, HistogramFigure, MapFigure, Page, Palette};
use crate::statistics::first_order::FirstOrder;
use crate::statistics::moments::{mean, standard_deviation};

/// Said on every page made from simulated data.
pub const SIMULATED: &str = "These data are simulated: their truth was designed, and nothing here \
                             says anything about a patient.";

/// The page of a session.
///
/// # Errors
///
/// As histograms and the registry of measures.
pub fn session(plan: &Plan, result: &SessionResult<'_>, provenance: &Provenance) -> Result<Page> {
    let item = result.item;
    let mut page = Page {
        title: item.name().replace('_', " · "),
        study: plan.study.name.clone(),
        links: vec![("All participants".into(), "index.html".into())],
        ..Page::default()
    };
    if plan.study.simulated {
        page.notices.push(SIMULATED.into());
    }
    for fit in &result.fits {
        let own =
            fit.warnings.iter().map(|text| format!("{} {}: {text}", fit.plan.name, fit.region));
        page.notices.extend(own);
        page.headlines.push(headline(fit));
        page.inputs.extend(inputs(result, fit));
        page.maps.extend(maps(fit));
        page.histograms.extend(histogram(fit)?);
        page.exclusions.extend(exclusions(fit));
        page.methods.extend(methods(fit)?);
    }
    for thickness in &result.thickness {
        let name = rows::thickness_region(thickness);
        let warnings = &thickness.thickness.warnings;
        page.notices.extend(warnings.iter().map(|warning| format!("{name}: {warning}")));
        page.headlines.push(thickness_headline(thickness));
        page.maps.push(thickness_map(thickness));
        page.inputs.push((name, item.relative(&thickness.item.labels)));
    }
    if !result.thickness.is_empty() {
        page.methods.push(THICKNESS.into());
    }
    page.methods.dedup();
    page.provenance = provenance_rows(provenance, plan.study.seed);
    Ok(page)
}

const THICKNESS: &str = "Thickness is the distance from each point of the articular surface to the \
                         nearest point of the bone–cartilage interface, both at half the smoothed \
                         label (Felzenszwalb and Huttenlocher, doi:10.4086/toc.2012.v008a019).";

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
    let magnitude = value.abs().max(1e-300).log10().floor() as i32;
    let digits = (2 - magnitude).clamp(0, 6) as usize;
    format!("{value:.digits$}")
}

fn mean_and_sd(values: &[f64], factor: f64) -> String {
    match (mean(values), standard_deviation(values)) {
        (Some(mean), Some(sd)) => format!("{} ± {}", shown(mean * factor), shown(sd * factor)),
        (Some(mean), None) => shown(mean * factor),
        _ => "–".into(),
    }
}

fn headline(fit: &FitResult<'_>) -> Headline {
    let parameter = fit.headline();
    let factor = parameter.unit.page_factor();
    let naive = fit.voxels.values(0, &fit.voxels.places(Selection::Naive));
    let method = rows::method_places(fit).map(|places| fit.voxels.values(0, &places));
    let kept = 100.0 * fit.voxels.gate.kept_fraction();
    let note = match &method {
        Some(values) => {
            let median = FirstOrder::of(values).map_or(f64::NAN, |features| features.median);
            format!(
                "{} voxels, median {}; gate kept {kept:.1} % of {}",
                values.len(),
                shown(median * factor),
                fit.voxels.gate.n_voxels()
            )
        }
        None => format!("gate kept {kept:.1} %: too little for a number"),
    };
    Headline {
        label: format!("{} · {}", fit.plan.name, fit.region.replace('_', " ")),
        value: method.map_or_else(|| "insufficient".into(), |v| mean_and_sd(&v, factor)),
        unit: parameter.unit.page_symbol().into(),
        plain: format!("voxel by voxel {} (n = {})", mean_and_sd(&naive, factor), naive.len()),
        note,
    }
}

fn thickness_headline(result: &ThicknessResult<'_>) -> Headline {
    let summary = &result.thickness.summary;
    Headline {
        label: format!("thickness · {}", rows::thickness_region(result).replace('_', " ")),
        value: format!("{} ± {}", shown(summary.mean_mm), shown(summary.sd_mm)),
        unit: "mm".into(),
        plain: format!("median {}, P25 {}", shown(summary.median_mm), shown(summary.p25_mm)),
        note: format!(
            "{} surface points, {} mm², cartilage volume {:.0} mm³",
            summary.n_points,
            shown(summary.area_mm2),
            summary.volume_mm3
        ),
    }
}

fn inputs(result: &SessionResult<'_>, fit: &FitResult<'_>) -> Vec<(String, String)> {
    let files: Vec<String> =
        fit.item.source.images.iter().map(|path| result.item.relative(path)).collect();
    let shape = fit.header.grid().shape();
    let spacing = fit.header.grid().affine().spacing_mm();
    let mut rows = vec![
        (format!("{} {}", fit.plan.name, fit.region), files.join(", ")),
        (
            "grid".into(),
            format!(
                "{} × {} × {} voxels of {} × {} × {} mm",
                shape[0],
                shape[1],
                shape[2],
                shown(spacing[0]),
                shown(spacing[1]),
                shown(spacing[2])
            ),
        ),
        ("acquisition".into(), acquisition(&fit.protocol)),
    ];
    if let Some(noise) = fit.voxels.noise.as_ref().map(|noise| noise.level) {
        let text = format!(
            "σ = {} by {} from {} voxels",
            shown(noise.sigma()),
            noise.method().name(),
            noise.n_voxels()
        );
        rows.push(("noise level".into(), text));
    }
    if let Some(arrival) = fit.voxels.arrival {
        let text = format!(
            "{:.2} s by {}, {} baseline frames",
            arrival.time_s(),
            arrival.method().name(),
            arrival.n_baseline_frames()
        );
        rows.push(("arrival of the bolus".into(), text));
    }
    rows
}

fn acquisition(protocol: &Protocol) -> String {
    let list = |values: &[f64], factor: f64| {
        let texts: Vec<String> = values.iter().map(|value| shown(value * factor)).collect();
        texts.join(", ")
    };
    match protocol {
        Protocol::Diffusion(p) => format!("b = {} s/mm²", list(p.b_values_s_per_mm2(), 1.0)),
        Protocol::MultiEcho(p) => format!("echo times {} ms", list(p.echo_times_s(), 1e3)),
        Protocol::Dynamic(p) => format!(
            "{} frames, TR {} ms, flip angle {}°",
            p.frame_times_s().len(),
            shown(p.repetition_time_s() * 1e3),
            shown(p.flip_angle_rad().to_degrees())
        ),
        Protocol::VariableFlipAngle(p) => format!(
            "TR {} ms, flip angles {} rad",
            shown(p.repetition_time_s() * 1e3),
            list(p.flip_angles_rad(), 1.0)
        ),
    }
}

/// Colours of a parameter.
fn palette(parameter: &Parameter) -> Palette {
    match parameter.suffix {
        "T2map" => Palette::Navia,
        "T1map" => Palette::Lipari,
        _ => Palette::Batlow,
    }
}

fn maps(fit: &FitResult<'_>) -> Vec<MapFigure> {
    let parameter = fit.headline();
    let factor = parameter.unit.page_factor();
    let naive: Vec<f64> = fit.voxels.values(0, &fit.voxels.places(Selection::Naive));
    let window = match FirstOrder::of(&naive) {
        Some(f) if f.p95 > f.p05 => [f.p05.min(0.0) * factor, f.p95 * 1.1 * factor],
        _ => parameter.display_window.map(|value| value * factor),
    };
    let region = &fit.voxels.fits.mask;
    let figure = |title: &str, values: Volume<f32>, region: &Mask, window, unit: &str| MapFigure {
        title: format!("{} · {} · {title}", fit.plan.name, fit.region.replace('_', " ")),
        caption: String::new(),
        unit: unit.to_owned(),
        values,
        region: region.clone(),
        anatomy: fit.anatomy.clone(),
        window,
        palette: palette(parameter),
    };
    let estimates = values_of(fit, &fit.voxels.fits.estimates[0], factor);
    let mut figures = vec![MapFigure {
        caption: "Every voxel of the region; black where there is no estimate.".into(),
        ..figure("estimate", estimates.clone(), region, window, parameter.unit.page_symbol())
    }];
    if let Some(uncertainty) = fit.voxels.uncertainties.first() {
        let relative = values_of(fit, &uncertainty.relative, 100.0);
        figures.push(MapFigure {
            caption: "Standard deviation over the pseudo-experiments in percent of the estimate."
                .into(),
            palette: Palette::Batlow,
            ..figure("uncertainty", relative, region, [0.0, 30.0], "%")
        });
    }
    let kept = Mask::from_indices(*region.grid(), &kept_indices(fit));
    if let Ok(kept) = kept {
        figures.push(MapFigure {
            caption: "The voxels that the reported numbers are of.".into(),
            ..figure("reported voxels", estimates, &kept, window, parameter.unit.page_symbol())
        });
    }
    figures
}

fn kept_indices(fit: &FitResult<'_>) -> Vec<usize> {
    let indices = fit.voxels.fits.mask.indices();
    let places = rows::method_places(fit).unwrap_or_default();
    places.into_iter().map(|place| indices[place]).collect()
}

/// A column of the fits as a volume in the unit of the page; NaN elsewhere.
fn values_of(fit: &FitResult<'_>, column: &[f64], factor: f64) -> Volume<f32> {
    let mask = &fit.voxels.fits.mask;
    let mut volume = Volume::from_fn(*mask.grid(), |_| f32::NAN);
    for (&index, &value) in mask.indices().iter().zip(column) {
        volume.voxels_mut()[index] = (value * factor) as f32;
    }
    volume
}

fn thickness_map(result: &ThicknessResult<'_>) -> MapFigure {
    let map = result.thickness.map();
    let region = Mask::new(map.map(|&value| value > 0.0));
    let cartilage = &result.cartilage;
    MapFigure {
        title: format!("thickness · {}", rows::thickness_region(result).replace('_', " ")),
        caption: "Thickness at the voxels of the articular surface; the cartilage is grey.".into(),
        unit: "mm".into(),
        anatomy: Volume::from_fn(*map.grid(), |index| {
            f32::from(u8::from(cartilage.contains(index)))
        }),
        values: map,
        region,
        window: [0.0, 4.0],
        palette: Palette::Batlow,
    }
}

fn histogram(fit: &FitResult<'_>) -> Result<Option<HistogramFigure>> {
    let histograms = rows::histograms(fit)?;
    let Some((_, widest)) = histograms.first() else { return Ok(None) };
    let parameter = fit.headline();
    let factor = parameter.unit.page_factor();
    let named = |selection: Selection| match selection {
        Selection::Naive => "all voxels",
        Selection::Gated => "after the gate",
        Selection::Habitat => "reported habitat",
    };
    Ok(Some(HistogramFigure {
        title: format!("{} · {}", fit.plan.name, fit.region.replace('_', " ")),
        axis: format!("{} [{}]", fit.plan.name, parameter.unit.page_symbol()),
        edges: widest.edges.iter().map(|edge| edge * factor).collect(),
        distributions: histograms
            .iter()
            .map(|(selection, histogram)| (named(*selection).into(), histogram.counts.clone()))
            .collect(),
    }))
}

fn exclusions(fit: &FitResult<'_>) -> Vec<Exclusion> {
    let n_region = fit.voxels.gate.n_voxels();
    let place = format!("{} · {}", fit.plan.name, fit.region.replace('_', " "));
    let row = |reason: String, n_voxels: usize| Exclusion {
        place: place.clone(),
        reason,
        n_voxels: n_voxels as u64,
        fraction: n_voxels as f64 / n_region.max(1) as f64,
    };
    let mut list: Vec<Exclusion> = rows::exclusions(fit)
        .into_iter()
        .map(|(reason, count)| row(reason.replace('_', " "), count))
        .collect();
    list.push(row("kept".into(), fit.voxels.gate.keep.len()));
    list
}

fn methods(fit: &FitResult<'_>) -> Result<Vec<String>> {
    let measure = measure::named(&fit.plan.model)?;
    let mut sentences = vec![format!(
        "{} {} was fitted per voxel by {} ({}).",
        fit.plan.name, measure.equation, fit.plan.estimator, measure.reference
    )];
    let replicates = fit.plan.uncertainty.pseudo_experiments;
    if replicates > 0 {
        sentences.push(format!(
            "Each voxel was measured again in {replicates} pseudo-experiments with the noise level \
             found in the data; voxels with more than {:.0} % relative uncertainty were left out.",
            100.0 * fit.plan.gate.maximum_uncertainty
        ));
    }
    if let Some(habitat) = &fit.plan.habitat {
        sentences.push(format!(
            "The kept voxels were grouped by {} and the habitat of {} mean is reported.",
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
        let texts = [0.012_34, 1.234, 12.34, 1234.0, -0.5, f64::NAN].map(shown);
        assert_eq!(texts, ["0.0123", "1.23", "12.3", "1234", "-0.500", "–"].map(String::from));
    }
}
