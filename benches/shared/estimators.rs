//! Protocols and estimators of the benches.

use biomarker::acquisition::{Diffusion, Dynamic, MultiEcho, Protocol};
use biomarker::error::Result;
use biomarker::fit::{FitSettings, estimator};
use biomarker::model::{Estimator, find};
use biomarker::noise::{NoiseDistribution, NoiseLevel, NoiseMethod};
use biomarker::perfusion::{
    DEFAULT_RELAXIVITY_PER_S_PER_MM, IaucEstimator, IaucSettings, IaucVariant, IntegrationWindow,
    T10Source,
};

/// Noise of one channel: a signal-to-noise ratio of 50 where the signal is 1000.
pub(crate) const SIGMA: f64 = 20.0;
/// Echo times, s.
pub(crate) const ECHO_TIMES_S: [f64; 6] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06];
/// b-values, s/mm².
pub(crate) const B_VALUES_S_PER_MM2: [f64; 4] = [0.0, 200.0, 500.0, 1000.0];
/// Frames of a dynamic series, every five seconds.
pub(crate) const N_FRAMES: usize = 60;
/// Arrival of the bolus, s: five frames lie before it.
pub(crate) const ARRIVAL_S: f64 = 25.0;
/// Native relaxation time of the dynamic series, s.
pub(crate) const T10_S: f64 = 1.2;
/// Repetition time of spoiled gradient echoes, s.
pub(crate) const REPETITION_TIME_S: f64 = 0.005;
/// Flip angle of the dynamic series, degrees.
pub(crate) const DYNAMIC_FLIP_ANGLE_DEG: f64 = 15.0;

/// The estimator of transverse relaxation.
pub(crate) fn t2() -> Result<Box<dyn Estimator>> {
    least_squares("t2", &Protocol::MultiEcho(MultiEcho::new(ECHO_TIMES_S.to_vec())?))
}

/// The estimator of diffusion.
pub(crate) fn adc() -> Result<Box<dyn Estimator>> {
    least_squares("adc", &Protocol::Diffusion(Diffusion::new(B_VALUES_S_PER_MM2.to_vec())?))
}

/// The estimator of the initial area under the curve, 60 s.
pub(crate) fn iauc60() -> Result<IaucEstimator> {
    IaucEstimator::new(&IaucSettings {
        protocol: dynamic()?,
        relaxivity_per_s_per_mm: DEFAULT_RELAXIVITY_PER_S_PER_MM,
        t10: T10Source::Uniform(T10_S),
        arrival_s: ARRIVAL_S,
        window: IntegrationWindow::Seconds60,
        variant: IaucVariant::Concentration,
    })
}

/// The protocol of the dynamic series.
pub(crate) fn dynamic() -> Result<Dynamic> {
    let times_s = (0..N_FRAMES).map(|frame| 5.0 * frame as f64).collect();
    Dynamic::new(times_s, REPETITION_TIME_S, DYNAMIC_FLIP_ANGLE_DEG.to_radians())
}

/// The least-squares estimator of `model`.
pub(crate) fn least_squares(model: &str, protocol: &Protocol) -> Result<Box<dyn Estimator>> {
    estimator(find(model)?, protocol, &FitSettings::default())
}

/// The noise that the data were made with.
pub(crate) fn noise(distribution: NoiseDistribution) -> Result<NoiseLevel> {
    NoiseLevel::new(SIGMA, distribution, NoiseMethod::Given, 0)
}
