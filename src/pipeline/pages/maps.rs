//! The maps of one session: estimate, uncertainty, where every voxel went, thickness.

use super::outcome::{Outcome, outcomes};
use super::title;
use crate::image::{Mask, Volume};
use crate::model::Parameter;
use crate::pipeline::rows;
use crate::pipeline::session::{FitResult, ThicknessResult};
use crate::report::{Category, Colours, MapFigure, Palette, Swatch};

/// The uncertainty map ends at this many times the gate.
const GATES_SHOWN: f64 = 3.0;

/// The thickest cartilage of the colour bar, mm.
pub(super) const THICKNESS_MAX_MM: f32 = 4.0;

/// Estimate, relative uncertainty and outcome of every voxel of a fit.
pub(super) fn of_fit(fit: &FitResult<'_>) -> Vec<MapFigure> {
    vec![estimate(fit), uncertainty(fit), outcome(fit)]
}

fn figure(fit: &FitResult<'_>, what: &str, values: Volume<f32>, colours: Colours) -> MapFigure {
    MapFigure {
        title: format!("{} · {what}", title(fit)),
        caption: String::new(),
        values,
        region: fit.voxels.fits.mask.clone(),
        anatomy: fit.anatomy.clone(),
        grey: None,
        colours,
    }
}

fn estimate(fit: &FitResult<'_>) -> MapFigure {
    let parameter = fit.headline();
    let factor = parameter.unit.page_factor();
    let values = volume_of(fit, fit.voxels.fits.estimates[0].iter().map(|value| value * factor));
    let colours = Colours::Scale {
        palette: palette(parameter),
        window: parameter.display_window.map(|value| value * factor),
        unit: parameter.unit.page_symbol().into(),
    };
    let caption = "Every voxel of the region, over the first volume of the series; the colour bar \
                   is the same for all participants, and what lies beyond it has the colour of its \
                   end.";
    MapFigure { caption: caption.into(), ..figure(fit, "estimate", values, colours) }
}

fn uncertainty(fit: &FitResult<'_>) -> MapFigure {
    let percent = fit.voxels.relative_uncertainties(0).into_iter().map(|u| 100.0 * u);
    let gate = 100.0 * fit.plan.gate.maximum_uncertainty;
    let colours = Colours::Scale {
        palette: Palette::Batlow,
        window: [0.0, GATES_SHOWN * gate],
        unit: "% of the estimate".into(),
    };
    let caption = if fit.voxels.uncertainties.is_empty() {
        "Standard error of the fit in percent of the estimate; no pseudo-experiments were asked \
         for, so the gate does not use it."
            .to_owned()
    } else {
        format!(
            "Standard deviation over {} pseudo-experiments in percent of the estimate; the gate \
             keeps up to {gate:.0} %.",
            fit.plan.uncertainty.pseudo_experiments
        )
    };
    MapFigure { caption, ..figure(fit, "uncertainty", volume_of(fit, percent), colours) }
}

fn outcome(fit: &FitResult<'_>) -> MapFigure {
    let outcomes = outcomes(fit);
    let mut all: Vec<&Outcome> = Vec::new();
    for outcome in &outcomes {
        if !all.contains(&outcome) {
            all.push(outcome);
        }
    }
    all.sort();
    let categories = all.iter().map(|&kind| Category {
        name: kind.name.clone(),
        n_voxels: outcomes.iter().filter(|own| *own == kind).count(),
        swatch: kind.kind.swatch(),
    });
    let colours = Colours::Categories(categories.collect());
    let places = outcomes
        .iter()
        .map(|own| all.iter().position(|kind| *kind == own).map_or(f64::NAN, |place| place as f64));
    let values = volume_of(fit, places);
    let caption = "What became of every voxel: reported, or the first reason it was left out.";
    MapFigure { caption: caption.into(), ..figure(fit, "outcome", values, colours) }
}

/// Colours of a parameter.
pub(super) fn palette(parameter: &Parameter) -> Palette {
    match parameter.suffix {
        "T2map" => Palette::Navia,
        "T1map" => Palette::Lipari,
        _ => Palette::Batlow,
    }
}

/// One value per voxel of the region as a volume; NaN elsewhere.
fn volume_of(fit: &FitResult<'_>, values: impl Iterator<Item = f64>) -> Volume<f32> {
    let mask = &fit.voxels.fits.mask;
    let mut volume = Volume::from_fn(*mask.grid(), |_| f32::NAN);
    for (&index, value) in mask.indices().iter().zip(values) {
        volume.voxels_mut()[index] = value as f32;
    }
    volume
}

/// Thickness at the surface over the cartilage in grey.
pub(super) fn of_thickness(result: &ThicknessResult<'_>) -> MapFigure {
    let map = result.thickness.map();
    let cartilage = &result.cartilage;
    MapFigure {
        title: format!("thickness · {}", rows::thickness_region(result).replace('_', " ")),
        caption: "Thickness at the voxels of the articular surface beyond the rim; the cartilage \
                  is grey. The label image has no other anatomy."
            .into(),
        region: Mask::new(map.map(|&value| value > 0.0)),
        anatomy: map_of(cartilage),
        values: map,
        grey: Some([0.0, 2.0]),
        colours: Colours::Scale {
            palette: Palette::Batlow,
            window: [0.0, f64::from(THICKNESS_MAX_MM)],
            unit: "mm".into(),
        },
    }
}

fn map_of(mask: &Mask) -> Volume<f32> {
    Volume::from_fn(*mask.grid(), |index| f32::from(u8::from(mask.contains(index))))
}

impl super::outcome::Kind {
    /// One colour per kind on every page.
    fn swatch(self) -> Swatch {
        match self {
            Self::Reported => Swatch::Sky,
            Self::Kept => Swatch::Blue,
            Self::Uncertain => Swatch::Orange,
            Self::NotPositive => Swatch::Vermilion,
            Self::OutOfRange => Swatch::Purple,
            Self::AtBound => Swatch::Yellow,
            Self::PoorFit => Swatch::Green,
            Self::NoEstimate => Swatch::Black,
        }
    }
}
