//! From dynamic signal to concentration and its initial area under the curve.
//!
//! The way of the data: [`voi_mean_curve`] → [`Arrival::detect`] → [`IaucEstimator`], which turns
//! signals into concentrations with [`SpoiledGradientEcho`] and integrates them. Arterial and tissue
//! curves for simulation stand beside. Times are in s, concentrations in mM (mmol/L), rates in 1/s.
//!
//! [`ExchangeEstimator`] fits exchange between plasma and tissue to the same concentrations. No image is
//! read or written.

mod arrival;
mod arterial_input;
mod concentration;
mod concentration_lanes;
mod estimator;
mod iauc;
mod iauc_lanes;
mod lanes;
mod mean_curve;
mod rate_series;
mod systematic;
mod tissue;
mod tofts_bounded;
mod tofts_errors;
mod tofts_estimator;
mod tofts_lanes;
mod tofts_series;

pub use arrival::{Arrival, ArrivalMethod, MIN_BASELINE_FRAMES, RECOMMENDED_BASELINE_FRAMES};
pub use arterial_input::{ArterialInput, Compartment, Hematocrit, MeasuredCurve, plasma_curve};
pub use concentration::{
    BaselineSignal, DEFAULT_RELAXIVITY_PER_S_PER_MM, SpoiledGradientEcho, T10_RANGE_S,
    relative_enhancement,
};
pub use estimator::{
    BloodReference, IaucEstimator, IaucSettings, IaucVariant, T10Source, concentration_area,
};
pub use iauc::{IntegrationWindow, area_under_curve, integration_weights};
pub use mean_curve::voi_mean_curve;
pub use systematic::{SystematicShifts, systematic_shifts};
pub use tissue::{TissueParameters, extended_tofts, tofts};
pub use tofts_estimator::{ExchangeEstimator, ExchangeSettings, TissueModel, TissueSamples};
