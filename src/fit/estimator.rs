//! From a model, a protocol and settings to the estimator that fits it.

use super::{
    GeneralFit, LeastSquaresFit, LogLinear, LogLinearFit, RicianFit, SegmentedFit, SelectedSamples,
    SeparableFit, TruncatedDecay, with_bounds,
};
use crate::acquisition::{Diffusion, MultiEcho, Protocol};
use crate::error::{Error, Result};
use crate::model::{
    Curve, Estimator, Headline, Model, ModelEntry, Parameter, Separable, t1_with_transmit_field,
};

/// Truncated echo trains keep as many.
const ECHOES_MIN: usize = 3;

/// How the parameters are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FitMethod {
    /// Least squares of the signals: variable projection where the model separates, else a descent
    /// over all parameters.
    #[default]
    NonlinearLeastSquares,
    /// Least squares of the signals by the Levenberg–Marquardt of the general solver, for any model:
    /// the cross-check of the default.
    General,
    /// Maximum likelihood of magnitudes with Rician noise of the given level, for any model.
    RicianLikelihood,
    /// The headline parameter where it acts alone, then the others with it fixed.
    Segmented,
    /// Straight line through ln S, weighted by the fitted S² until it stands still.
    IteratedLogLinear,
    /// Straight line through ln S, weighted by S², then by the fitted S².
    WeightedLogLinear,
    /// Straight line through ln S.
    LogLinear,
    /// Straight line through ln S at the lowest and the highest abscissa.
    TwoPoint,
}

impl FitMethod {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NonlinearLeastSquares,
        Self::RicianLikelihood,
        Self::Segmented,
        Self::IteratedLogLinear,
        Self::WeightedLogLinear,
        Self::LogLinear,
        Self::TwoPoint,
        Self::General,
    ];

    /// Name in pipelines and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::NonlinearLeastSquares => "nlls",
            Self::General => "general",
            Self::RicianLikelihood => "rician_ml",
            Self::Segmented => "segmented",
            Self::IteratedLogLinear => "iwlls",
            Self::WeightedLogLinear => "wlls",
            Self::LogLinear => "lls",
            Self::TwoPoint => "two_point",
        }
    }

    /// The method of that name.
    ///
    /// # Errors
    ///
    /// `Value` with the names there are.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or_else(|| {
            Error::value(format!("no estimator is called `{name}`"))
                .at_field("estimator")
                .hint(format!("estimators: {}", Self::ALL.map(Self::name).join(", ")))
        })
    }
}

/// Echoes that are left out of a fit; the default is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EchoChoice {
    /// Whether the first echo is left out: stimulated echoes raise all but that one.
    pub skip_first_echo: bool,
    /// Whether echoes with a fitted amplitude below three noise levels are left out, as far as three
    /// echoes remain.
    pub truncate_below_noise: bool,
}

/// What the user may choose about a fit; the default is the whole protocol by least squares.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FitSettings {
    /// How the parameters are found.
    pub method: FitMethod,
    /// Only samples with at least this b-value (s/mm²) are fitted; diffusion only.
    pub b_value_min_s_per_mm2: Option<f64>,
    /// Echoes that are left out; multi-echo series only.
    pub echoes: EchoChoice,
    /// Noise level of one channel in signal units, where it is known: Rician likelihood and the
    /// choice of echoes need it.
    pub sigma: Option<f64>,
    /// Whether a map of the transmit field (flip angle over the nominal one) is given as the constant
    /// of every voxel; variable flip angles by least squares only.
    pub transmit_field: bool,
    /// Bounds by parameter name that replace those of the model, in the unit of the parameter.
    pub bounds: Vec<(String, [f64; 2])>,
}

impl FitSettings {
    /// The setting that cannot be followed without a noise level, by its name.
    pub fn needs_sigma(&self) -> Option<&'static str> {
        if self.method == FitMethod::RicianLikelihood {
            return Some(self.method.name());
        }
        self.echoes.truncate_below_noise.then_some("truncate_below_noise")
    }

    /// The settings of a first fit that does without the noise level: least squares of all echoes.
    #[must_use]
    pub fn without_noise(&self) -> Self {
        let is_rician = self.method == FitMethod::RicianLikelihood;
        let method = if is_rician { FitMethod::default() } else { self.method };
        let echoes = EchoChoice { truncate_below_noise: false, ..self.echoes };
        Self { method, echoes, sigma: None, ..self.clone() }
    }
}

/// The estimator of the model `entry` on `protocol`.
///
/// # Errors
///
/// `Mismatch` when the model needs another protocol; `Value` at `b_value_min_s_per_mm2` when fewer
/// than two b-values are left or there are none, at `skip_first_echo` and `truncate_below_noise` when
/// there are no echoes or too few, at `sigma` when the noise level is needed and not known, at
/// `bounds` when a name is unknown or a pair is not usable, at `estimator` when the method cannot fit
/// this model.
pub fn estimator(
    entry: &ModelEntry,
    protocol: &Protocol,
    settings: &FitSettings,
) -> Result<Box<dyn Estimator>> {
    let parameters = checked_parameters(entry, settings)?;
    let build = |part: &Protocol| {
        if settings.echoes.truncate_below_noise {
            truncated(entry, part, &parameters, settings)
        } else {
            fit_of(entry, part, &parameters, settings)
        }
    };
    match selected(protocol, settings)? {
        None => build(protocol),
        Some((used, part)) => {
            let whole = (entry.build)(protocol)?;
            Ok(Box::new(SelectedSamples::new(build(&part)?, used, whole)?))
        }
    }
}

/// Volumes that are fitted and their protocol, where these are not all.
fn selected(protocol: &Protocol, settings: &FitSettings) -> Result<Option<(Vec<usize>, Protocol)>> {
    let by_b_value = settings.b_value_min_s_per_mm2.map(|b_value_min| {
        select(protocol, b_value_min).map_err(|error| error.at_field("b_value_min_s_per_mm2"))
    });
    let by_echo = settings
        .echoes
        .skip_first_echo
        .then(|| without_first_echo(protocol).map_err(|error| error.at_field("skip_first_echo")));
    by_b_value.or(by_echo).transpose()
}

fn train(protocol: &Protocol) -> Result<&MultiEcho> {
    match protocol {
        Protocol::MultiEcho(train) => Ok(train),
        other => Err(Error::value(format!("a {:?} series has no echo times", other.kind()))),
    }
}

fn without_first_echo(protocol: &Protocol) -> Result<(Vec<usize>, Protocol)> {
    let train = train(protocol)?;
    let times_s = train.echo_times_s();
    let first = times_s.iter().copied().fold(f64::INFINITY, f64::min);
    let used: Vec<usize> = (0..times_s.len()).filter(|&k| times_s[k] > first).collect();
    let part = train.part(&used).map_err(|_| {
        Error::value(format!("leaves fewer than two different echo times of {times_s:?}"))
    })?;
    Ok((used, Protocol::MultiEcho(part)))
}

/// An estimator for every number of early echoes, from three to all.
fn truncated(
    entry: &ModelEntry,
    protocol: &Protocol,
    parameters: &[Parameter],
    settings: &FitSettings,
) -> Result<Box<dyn Estimator>> {
    let at_field = |error: Error| error.at_field("truncate_below_noise");
    let train = train(protocol).map_err(at_field)?;
    let times_s = train.echo_times_s();
    if parameters.len() > 2 {
        return Err(at_field(
            Error::value(format!("model `{}` has its own answer to the noise floor", entry.name))
                .hint("choose model `t2`, or keep all echoes"),
        ));
    }
    let mut order: Vec<usize> = (0..times_s.len()).collect();
    order.sort_by(|&a, &b| times_s[a].total_cmp(&times_s[b]));
    let sigma = known_sigma(settings, "truncate_below_noise")?;
    let by_length = (order.len().min(ECHOES_MIN)..=order.len())
        .map(|length| {
            let part = Protocol::MultiEcho(train.part(&order[..length])?);
            fit_of(entry, &part, parameters, settings)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Box::new(TruncatedDecay::new((entry.build)(protocol)?, order, by_length, sigma)?))
}

fn known_sigma(settings: &FitSettings, what: &str) -> Result<f64> {
    settings.sigma.ok_or_else(|| {
        Error::value(format!("`{what}` needs the noise level, which is not known"))
            .at_field("sigma")
            .hint("give the noise level, or choose a method that estimates it")
    })
}

fn checked_parameters(entry: &ModelEntry, settings: &FitSettings) -> Result<Vec<Parameter>> {
    for (name, [low, high]) in &settings.bounds {
        let field = format!("bounds.{name}");
        if !entry.parameters.iter().any(|parameter| parameter.name == name) {
            let names: Vec<&str> = entry.parameters.iter().map(|p| p.name).collect();
            return Err(Error::value(format!("model `{}` has no such parameter", entry.name))
                .at_field(field)
                .hint(format!("parameters: {}", names.join(", "))));
        }
        if low.is_nan() || high.is_nan() || low >= high {
            return Err(Error::value(format!("lower bound {low} is not below upper bound {high}"))
                .at_field(field));
        }
    }
    Ok(with_bounds(entry.parameters, &settings.bounds))
}

fn fit_of(
    entry: &ModelEntry,
    protocol: &Protocol,
    parameters: &[Parameter],
    settings: &FitSettings,
) -> Result<Box<dyn Estimator>> {
    let name = settings.method.name();
    if settings.transmit_field {
        let least_squares = settings.method == FitMethod::NonlinearLeastSquares;
        if entry.name != "t1_vfa" || !least_squares {
            return Err(Error::value("a map of the transmit field is for `t1_vfa` by `nlls` only")
                .at_field("b1_map"));
        }
        let model = t1_with_transmit_field(protocol)?;
        return Ok(Box::new(LeastSquaresFit::new(model, parameters)?));
    }
    let model = (entry.build)(protocol)?;
    let log_linear = match settings.method {
        FitMethod::General => return Ok(Box::new(GeneralFit::new(model, parameters)?)),
        FitMethod::NonlinearLeastSquares => return least_squares(model, parameters),
        FitMethod::Segmented => return Ok(Box::new(SegmentedFit::new(model, parameters)?)),
        FitMethod::RicianLikelihood => {
            if matches!(protocol, Protocol::Dynamic(_)) {
                return Err(Error::value("concentrations have no Rician noise")
                    .at_field("estimator")
                    .hint("choose estimator `nlls`"));
            }
            let sigma = known_sigma(settings, name)?;
            let start = least_squares((entry.build)(protocol)?, parameters)?;
            return Ok(Box::new(RicianFit::new(model, start, sigma)?));
        }
        FitMethod::IteratedLogLinear => LogLinear::Iterated,
        FitMethod::WeightedLogLinear => LogLinear::Weighted,
        FitMethod::LogLinear => LogLinear::Unweighted,
        FitMethod::TwoPoint => LogLinear::TwoPoint,
    };
    match model.separable() {
        Some(Separable { curve: Curve::Exponential(curve), headline }) => {
            require_bounds(headline, parameters)?;
            Ok(Box::new(LogLinearFit::new(curve, headline, parameters, log_linear)))
        }
        _ => Err(not_exponential(name)),
    }
}

fn not_exponential(method: &str) -> Error {
    Error::value(format!(
        "`{method}` fits a straight line to ln S, but the model is no exponential"
    ))
    .at_field("estimator")
    .hint("choose estimator `nlls`")
}

/// The default: variable projection where the model separates and its amplitude is only kept from
/// being negative, else a descent over all parameters.
fn least_squares(model: Box<dyn Model>, parameters: &[Parameter]) -> Result<Box<dyn Estimator>> {
    let unbounded_amplitude =
        parameters.get(1).is_some_and(|p| p.bounds[0] <= 0.0 && p.bounds[1].is_infinite());
    match model.separable().filter(|_| unbounded_amplitude) {
        Some(separable) => {
            let headline = separable.headline;
            require_bounds(headline, parameters)?;
            Ok(match separable.curve {
                Curve::Exponential(curve) => {
                    Box::new(SeparableFit::new(curve, headline, parameters)?)
                }
                Curve::SpoiledGradientEcho(curve) => {
                    Box::new(SeparableFit::new(curve, headline, parameters)?)
                }
            })
        }
        None => Ok(Box::new(LeastSquaresFit::new(model, parameters)?)),
    }
}

/// Passes when the rate has finite bounds: those of a time must be above 0.
fn require_bounds(headline: Headline, parameters: &[Parameter]) -> Result<()> {
    let [low, high] = parameters[0].bounds;
    let usable = low.is_finite()
        && high.is_finite()
        && match headline {
            Headline::Rate => true,
            Headline::InverseRate => low > 0.0,
        };
    if usable {
        return Ok(());
    }
    Err(Error::value(format!("bounds {low} and {high} must be finite, and positive for a time"))
        .at_field(format!("bounds.{}", parameters[0].name)))
}

/// The volumes with at least `b_value_min`, and the protocol of these alone.
fn select(protocol: &Protocol, b_value_min: f64) -> Result<(Vec<usize>, Protocol)> {
    let Protocol::Diffusion(diffusion) = protocol else {
        return Err(Error::value(format!("a {:?} series has no b-values", protocol.kind())));
    };
    let b_values = diffusion.b_values_s_per_mm2();
    let used: Vec<usize> = (0..b_values.len()).filter(|&k| b_values[k] >= b_value_min).collect();
    let part = Diffusion::new(used.iter().map(|&k| b_values[k]).collect()).map_err(|_| {
        Error::value(format!(
            "{b_value_min} leaves fewer than two different b-values of {b_values:?}"
        ))
        .hint("lower it")
    })?;
    Ok((used, Protocol::Diffusion(part)))
}

#[cfg(test)]
mod tests;
