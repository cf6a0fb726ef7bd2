//! One row of the table of tumours.

use super::{method_places, sigma, stderr_mean, volume_ml};
use crate::pipeline::session::FitResult;
use crate::pipeline::voxels::{MethodValue, Selection};
use crate::statistics::first_order::FirstOrder;
use crate::statistics::quantile::median;
use crate::table::Row;

/// The naive answer and the method of one fit, side by side.
pub(super) fn tumour<'t>(row: Row<'t>, fit: &FitResult<'_>) -> Row<'t> {
    let n_region = fit.voxels.gate.n_voxels();
    let places = |selection| fit.voxels.places(selection);
    let features = |places: &[usize]| FirstOrder::of(&fit.voxels.values(0, places));
    let (naive, gated) = (places(Selection::Naive), places(Selection::Gated));
    let method = method_places(fit);
    let row = row
        .text("status", if method.is_some() { "reported" } else { "insufficient" })
        .integer("n_region", n_region)
        .integer("naive_n", naive.len())
        .integer("gated_n", gated.len())
        .real("kept_fraction", fit.voxels.gate.kept_fraction())
        .real("volume_ml", volume_ml(fit, n_region))
        .optional_real("sigma", sigma(fit))
        .optional_text("sigma_method", fit.voxels.noise.as_ref().map(|n| n.level.method().name()))
        .optional_real("snr0", Some(fit.voxels.snr0).filter(|snr| snr.is_finite()))
        .optional_real("predicted_pass_fraction", fit.voxels.predicted_pass_fraction);
    let row = shrunken(spread(row, "naive", features(&naive).as_ref()), fit);
    let row = match features(&gated) {
        Some(f) => row.real("gated_mean", f.mean).optional_real("gated_sd", f.standard_deviation),
        None => row,
    };
    let (Some(method), Some(value)) = (method, &fit.voxels.method) else {
        return row.text("exclusion_reason", "too few voxels are left after the gate");
    };
    let groups = fit.voxels.groups.as_ref();
    let percent = value.standard_deviation.map(|sd| 100.0 * sd / value.mean);
    let row = row
        .integer("method_n", value.n)
        .real("method_mean", value.mean)
        .optional_real("method_sd", value.standard_deviation)
        .optional_real("method_uncertainty_percent", percent)
        .optional_real("method_median", median(&fit.voxels.values(0, &method)))
        .optional_integer("k", groups.map(|groups| groups.habitats.k() as i64))
        .optional_real("n_corr", groups.map(|groups| groups.n_corr))
        .real("habitat_fraction", method.len() as f64 / gated.len().max(1) as f64)
        .real("habitat_volume_ml", volume_ml(fit, method.len()));
    systematic(repeated(row, fit, &method), value)
}

/// The number without a gate: the mixture that the voxels and their uncertainties tell of.
fn shrunken<'t>(row: Row<'t>, fit: &FitResult<'_>) -> Row<'t> {
    let Some(region) = &fit.voxels.shrunken else { return row };
    let Some(habitat) = region.shrunken.reported() else { return row };
    row.integer("shrunken_n", region.shrunken.n_informative)
        .real("shrunken_mean", habitat.mean)
        .optional_real("shrunken_stderr", habitat.mean_error)
        .real("shrunken_sd", habitat.intrinsic_standard_deviation)
        .real("shrunken_fraction", habitat.weight)
}

/// What pseudo-experiments of the region, or the uncertainties of its voxels, say of the mean.
fn repeated<'t>(row: Row<'t>, fit: &FitResult<'_>, places: &[usize]) -> Row<'t> {
    let n_corr = fit.voxels.groups.as_ref().map_or(1.0, |groups| groups.n_corr);
    let of_voxels = stderr_mean(fit, 0, places).map(|stderr| stderr * n_corr.sqrt());
    let repeated = fit.voxels.method.as_ref().and_then(|method| method.repeated.as_ref());
    row.optional_real("method_stderr_voxels", of_voxels)
        .optional_real("method_stderr", repeated.and_then(|repeated| repeated.standard_error))
        .optional_real("method_bias", repeated.and_then(|repeated| repeated.bias))
        .optional_real("method_sd_stderr", repeated.and_then(|r| r.standard_error_of_sd))
        .optional_integer("method_repeats", repeated.map(|repeated| repeated.n as i64))
}

/// Shifts of the mean by what is assumed, in percent.
fn systematic<'t>(row: Row<'t>, value: &MethodValue) -> Row<'t> {
    let [low, high] = value.sigma_shifts.map(|shift| shift.map(|shift| 100.0 * shift));
    let mut row = row
        .optional_real("sys_sigma_low_percent", low)
        .optional_real("sys_sigma_high_percent", high);
    let Some(shifts) = &value.systematic else { return row };
    let all = [
        ("sys_t10_low_percent", shifts.sys_t10_low),
        ("sys_t10_high_percent", shifts.sys_t10_high),
        ("sys_flip_angle_low_percent", shifts.sys_flip_angle_low),
        ("sys_flip_angle_high_percent", shifts.sys_flip_angle_high),
        ("sys_arrival_early_percent", shifts.sys_arrival_early),
        ("sys_arrival_late_percent", shifts.sys_arrival_late),
    ];
    for (name, shift) in all {
        let percent = 100.0 * shift / shifts.nominal;
        row = row.optional_real(name, Some(percent).filter(|percent| percent.is_finite()));
    }
    row
}

fn spread<'t>(row: Row<'t>, prefix: &str, features: Option<&FirstOrder>) -> Row<'t> {
    let Some(features) = features else { return row };
    let percent = features.standard_deviation.map(|sd| 100.0 * sd / features.mean);
    row.real(&format!("{prefix}_mean"), features.mean)
        .optional_real(&format!("{prefix}_sd"), features.standard_deviation)
        .real(&format!("{prefix}_median"), features.median)
        .optional_real(&format!("{prefix}_uncertainty_percent"), percent)
}
