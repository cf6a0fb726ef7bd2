//! The curve of the artery, measured on the series itself.

use super::VoxelWork;
use crate::acquisition::Protocol;
use crate::error::{Error, Result};
use crate::perfusion::{Arrival, SpoiledGradientEcho, voi_mean_curve};
use crate::pipeline::plan::{ArteryCurve, ArteryPlan, DynamicPlan, FitPlan};

/// Fewest frames of an arterial curve that are not saturated.
const FRAMES_MIN: usize = 5;

/// The plan with the arterial curve in place of the region that it is measured in.
///
/// The baseline is the mean of the frames before the bolus, as in tissue. A saturated frame is left
/// out of the curve.
///
/// # Errors
///
/// `Missing` where there is no mask of the artery; `Value` at `artery` where its signal gives no
/// concentrations.
pub(super) fn measured(work: VoxelWork<'_>, arrival: Option<Arrival>) -> Result<FitPlan> {
    let mut plan = work.plan.clone();
    let Some(DynamicPlan { artery: Some(artery), relaxivity_per_s_per_mm, .. }) = &mut plan.dynamic
    else {
        return Ok(plan);
    };
    let (ArteryCurve::Region { t10_ms, .. }, Some(arrival)) = (&artery.curve, arrival) else {
        return Ok(plan);
    };
    let curve = curve(work, arrival, (*t10_ms / 1e3, *relaxivity_per_s_per_mm))?;
    *artery = ArteryPlan { curve, ..artery.clone() };
    Ok(plan)
}

fn curve(
    work: VoxelWork<'_>,
    arrival: Arrival,
    (t10_s, relaxivity_per_s_per_mm): (f64, f64),
) -> Result<ArteryCurve> {
    let mask = work.artery.ok_or_else(|| Error::value("there is no mask of the artery"))?;
    let Protocol::Dynamic(dynamic) = &work.loaded.protocol else {
        return Err(Error::mismatch("an artery is measured on a dynamic series"));
    };
    let signals = voi_mean_curve(&work.loaded.series, mask)?;
    let n_baseline = arrival.n_baseline_frames();
    let baseline = signals[..n_baseline].iter().sum::<f64>() / n_baseline as f64;
    let equation = SpoiledGradientEcho::new(dynamic, relaxivity_per_s_per_mm)?;
    let scale = equation.with_baseline(baseline, t10_s);
    let points = dynamic.frame_times_s().iter().zip(&signals);
    let (times_s, concentrations_mmol_per_l): (Vec<f64>, Vec<f64>) = points
        .map(|(&time, &signal)| (time, scale.map_or(f64::NAN, |s| s.concentration(signal))))
        .filter(|(_, concentration)| concentration.is_finite())
        .unzip();
    if times_s.len() < FRAMES_MIN {
        let message = format!("{} of {} frames give a concentration", times_s.len(), signals.len());
        return Err(Error::value(message).at_field("artery").hint(
            "is the mask inside the artery? inflow and saturation make its signal unusable",
        ));
    }
    Ok(ArteryCurve::Measured { times_s, concentrations_mmol_per_l })
}
