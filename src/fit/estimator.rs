//! From a model, a protocol and settings to the estimator that fits it.

use super::{GeneralFit, LogLinear, LogLinearFit, SelectedSamples, SeparableFit, with_bounds};
use crate::acquisition::{Diffusion, Protocol};
use crate::error::{Error, Result};
use crate::model::{Curve, Estimator, Headline, Model, ModelEntry, Parameter};

/// How the parameters are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FitMethod {
    /// Least squares of the signals: variable projection where the model separates, else as
    /// `General`.
    #[default]
    NonlinearLeastSquares,
    /// Least squares of the signals by Levenberg–Marquardt, for any model.
    General,
    /// Straight line through ln S, weighted by S², then by the fitted S².
    WeightedLogLinear,
    /// Straight line through ln S.
    LogLinear,
    /// Straight line through ln S at the lowest and the highest abscissa.
    TwoPoint,
}

impl FitMethod {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NonlinearLeastSquares,
        Self::General,
        Self::WeightedLogLinear,
        Self::LogLinear,
        Self::TwoPoint,
    ];

    /// Name in pipelines and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::NonlinearLeastSquares => "nlls",
            Self::General => "general",
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

/// What the user may choose about a fit; the default is the whole protocol by least squares.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FitSettings {
    /// How the parameters are found.
    pub method: FitMethod,
    /// Only samples with at least this b-value (s/mm²) are fitted; diffusion only.
    pub b_value_min_s_per_mm2: Option<f64>,
    /// Bounds by parameter name that replace those of the model, in the unit of the parameter.
    pub bounds: Vec<(String, [f64; 2])>,
}

/// The estimator of the model `entry` on `protocol`.
///
/// # Errors
///
/// `Mismatch` when the model needs another protocol; `Value` at `b_value_min_s_per_mm2` when fewer
/// than two b-values are left or there are none, at `bounds` when a name is unknown or a pair is not
/// usable, at `estimator` when the method cannot fit this model.
pub fn estimator(
    entry: &ModelEntry,
    protocol: &Protocol,
    settings: &FitSettings,
) -> Result<Box<dyn Estimator>> {
    let parameters = checked_parameters(entry, settings)?;
    match settings.b_value_min_s_per_mm2 {
        None => fit_of((entry.build)(protocol)?, &parameters, settings.method),
        Some(b_value_min) => {
            let (used, part) = select(protocol, b_value_min)
                .map_err(|error| error.at_field("b_value_min_s_per_mm2"))?;
            let inner = fit_of((entry.build)(&part)?, &parameters, settings.method)?;
            Ok(Box::new(SelectedSamples::new(inner, used, (entry.build)(protocol)?)?))
        }
    }
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
    model: Box<dyn Model>,
    parameters: &[Parameter],
    method: FitMethod,
) -> Result<Box<dyn Estimator>> {
    let name = method.name();
    let log_linear = match method {
        FitMethod::General => return Ok(Box::new(GeneralFit::new(model, parameters)?)),
        FitMethod::NonlinearLeastSquares => return least_squares(model, parameters),
        FitMethod::WeightedLogLinear => LogLinear::Weighted,
        FitMethod::LogLinear => LogLinear::Unweighted,
        FitMethod::TwoPoint => LogLinear::TwoPoint,
    };
    match model.separable() {
        Some(separable) => {
            require_bounds(separable.headline, parameters)?;
            match separable.curve {
                Curve::Exponential(curve) => {
                    let headline = separable.headline;
                    Ok(Box::new(LogLinearFit::new(curve, headline, parameters, log_linear)))
                }
                Curve::SpoiledGradientEcho(_) => Err(not_exponential(name)),
            }
        }
        None => Err(not_exponential(name)),
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
/// being negative, else Levenberg–Marquardt.
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
        None => Ok(Box::new(GeneralFit::new(model, parameters)?)),
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
mod tests {
    use super::*;
    use crate::acquisition::MultiEcho;
    use crate::model::{Fit, FitStatus, VoxelData, find};

    fn diffusion(b_values: &[f64]) -> Protocol {
        Protocol::Diffusion(Diffusion::new(b_values.to_vec()).unwrap())
    }

    fn fit(estimator: &dyn Estimator, samples: &[f64]) -> Fit {
        let mut fit = Fit::new(estimator.parameters().len());
        let mut scratch = vec![0.0; estimator.scratch_len()];
        estimator.estimate(VoxelData { samples, fixed: &[] }, &mut scratch, &mut fit);
        fit
    }

    fn adc(b_values: &[f64], settings: &FitSettings) -> Box<dyn Estimator> {
        estimator(find("adc").unwrap(), &diffusion(b_values), settings).unwrap()
    }

    fn with_method(method: FitMethod) -> FitSettings {
        FitSettings { method, ..FitSettings::default() }
    }

    #[test]
    fn every_method_solves_two_samples_exactly_and_leaves_no_degree_of_freedom() {
        for method in FitMethod::ALL {
            let fit = fit(&*adc(&[0.0, 800.0], &with_method(method)), &[1000.0, 449.329]);
            assert_eq!(fit.status, FitStatus::Converged, "{method:?}");
            assert!((fit.estimates[0] - 1.0e-3).abs() < 1e-9, "{method:?} {fit:?}");
            assert!((fit.estimates[1] - 1000.0).abs() < 1e-6);
            assert_eq!(fit.degrees_of_freedom, 0);
            assert!(fit.residual_variance().is_nan());
            // u = √(1 + e^(2x)) / (x·SNR) holds for all of them: one solution, one covariance.
            let x = 800.0 * fit.estimates[0];
            let bound = (1.0 + (2.0 * x).exp()).sqrt() / 800.0 / 1000.0;
            assert!((fit.unscaled_covariance[0].sqrt() / bound - 1.0).abs() < 1e-7, "{method:?}");
        }
    }

    #[test]
    fn samples_below_the_least_b_value_are_neither_seen_nor_lost() {
        let settings = FitSettings { b_value_min_s_per_mm2: Some(100.0), ..FitSettings::default() };
        let estimator = adc(&[0.0, 100.0, 400.0, 800.0], &settings);
        let decay = [100.0, 400.0, 800.0].map(|b: f64| 700.0 * (-1.2e-3 * b).exp());
        for first in [5000.0, f64::NAN] {
            let samples = [first, decay[0], decay[1], decay[2]];
            let fit = fit(&*estimator, &samples);
            assert!((fit.estimates[0] / 1.2e-3 - 1.0).abs() < 1e-12);
            assert_eq!(fit.degrees_of_freedom, 1);
            let mut expected = [0.0; 4];
            let mut scratch = vec![0.0; estimator.scratch_len()];
            let voxel = VoxelData { samples: &samples, fixed: &[] };
            estimator.expected(voxel, &fit, &mut scratch, &mut expected);
            assert!((expected[0] - 700.0).abs() < 1e-9 && (expected[3] - decay[2]).abs() < 1e-9);
        }
    }

    #[test]
    fn settings_that_cannot_be_are_refused_with_their_field() {
        let entry = find("adc").unwrap();
        let refuse = |settings: FitSettings| {
            let protocol = diffusion(&[0.0, 800.0]);
            estimator(entry, &protocol, &settings).err().unwrap().to_string()
        };
        let bounds = |name: &str, pair| FitSettings {
            bounds: vec![(name.into(), pair)],
            ..FitSettings::default()
        };
        let adc = "apparent_diffusion_coefficient";
        assert_eq!(
            refuse(bounds("t2", [0.0, 1.0])),
            "`bounds.t2`: model `adc` has no such parameter"
        );
        assert_eq!(
            refuse(bounds(adc, [2.0, 1.0])),
            "`bounds.apparent_diffusion_coefficient`: lower bound 2 is not below upper bound 1"
        );
        assert!(refuse(bounds(adc, [0.0, f64::INFINITY])).contains("must be finite"));
        let settings = FitSettings { b_value_min_s_per_mm2: Some(500.0), ..FitSettings::default() };
        assert_eq!(
            refuse(settings.clone()),
            "`b_value_min_s_per_mm2`: 500 leaves fewer than two different b-values of [0.0, 800.0]"
        );
        let echoes = Protocol::MultiEcho(MultiEcho::new(vec![0.01, 0.02]).unwrap());
        let error = estimator(find("t2").unwrap(), &echoes, &settings).err().unwrap();
        assert!(error.to_string().contains("a MultiEcho series has no b-values"));
        assert!(FitMethod::from_name("ols").unwrap_err().hint_text().unwrap().contains("wlls"));
        assert_eq!(FitMethod::from_name("lls").unwrap(), FitMethod::LogLinear);
    }

    #[test]
    fn own_bounds_replace_those_of_the_model() {
        let pair = [0.0, 1e-3];
        for method in FitMethod::ALL {
            let settings = FitSettings {
                bounds: vec![("apparent_diffusion_coefficient".into(), pair)],
                ..with_method(method)
            };
            let estimator = adc(&[0.0, 400.0, 800.0], &settings);
            let fit = fit(&*estimator, &[1000.0, 400.0, 150.0]);
            assert_eq!(fit.status, FitStatus::AtUpperBound, "{method:?}");
            assert!((fit.estimates[0] - 1e-3).abs() < 1e-18);
        }
    }

    #[test]
    fn logarithms_drop_samples_that_are_not_positive() {
        let b_values = [0.0, 200.0, 400.0, 800.0];
        for method in [FitMethod::LogLinear, FitMethod::WeightedLogLinear] {
            let estimator = adc(&b_values, &with_method(method));
            let clean = b_values.map(|b| 500.0 * (-1e-3 * b).exp());
            let kept = fit(&*estimator, &[clean[0], -3.0, clean[2], 0.0]);
            assert!((kept.estimates[0] / 1e-3 - 1.0).abs() < 1e-12);
            assert_eq!(kept.degrees_of_freedom, 0);
            let lost = fit(&*estimator, &[clean[0], -3.0, 0.0, 0.0]);
            assert_eq!(lost.status, FitStatus::NoSignal);
        }
        let two_point = adc(&b_values, &with_method(FitMethod::TwoPoint));
        assert_eq!(fit(&*two_point, &[500.0, 1.0, 1.0, 0.0]).status, FitStatus::NoSignal);
    }

    #[test]
    fn two_point_uses_the_means_at_both_ends() {
        let estimator = adc(&[0.0, 0.0, 400.0, 800.0, 800.0], &with_method(FitMethod::TwoPoint));
        let fit = fit(&*estimator, &[900.0, 1100.0, 1.0, 440.0, 460.0]);
        assert!((fit.estimates[0] - (1000.0_f64 / 450.0).ln() / 800.0).abs() < 1e-15);
        assert_eq!(fit.degrees_of_freedom, 2);
        assert!((fit.residual_sum_of_squares - 20_200.0).abs() < 1e-6);
    }
}
