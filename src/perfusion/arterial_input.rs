//! Contrast agent in the artery: population curves and measured ones.
//!
//! Time runs from the arrival of the bolus; every population curve is 0 before it. Whether a curve
//! speaks of whole blood or of plasma is part of its type, because plasma = blood/(1 − hematocrit)
//! is a factor of 1.7. The parameters stand in the literature's minutes.
//!
//! # Reference
//!
//! Parker et al., Magn Reson Med 2006, doi:10.1002/mrm.21066 (Parker). Weinmann et al., Physiol Chem
//! Phys Med NMR 1984;16:167 with Tofts and Kermode, Magn Reson Med 1991, doi:10.1002/mrm.1910170208
//! (Weinmann). Georgiou et al., Magn Reson Med 2019, doi:10.1002/mrm.27524 (Georgiou).

use statrs::function::gamma::ln_gamma;

use crate::acquisition::PlasmaCurve;
use crate::error::{Error, Result};

const SECONDS_PER_MINUTE: f64 = 60.0;

/// What a concentration is counted per.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compartment {
    /// Per litre of whole blood.
    Blood,
    /// Per litre of plasma.
    Plasma,
}

/// Volume fraction of red cells in blood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hematocrit(f64);

impl Hematocrit {
    /// 0.42, of adults; children differ.
    pub const DEFAULT: Self = Self(0.42);

    /// A fraction in 0–1, 1 excluded.
    ///
    /// # Errors
    ///
    /// `Value` at `hematocrit` otherwise.
    pub fn new(fraction: f64) -> Result<Self> {
        if (0.0..1.0).contains(&fraction) {
            Ok(Self(fraction))
        } else {
            Err(Error::value(format!("hematocrit {fraction} is not in 0–1"))
                .at_field("hematocrit")
                .hint("give a fraction such as 0.42, not a percentage"))
        }
    }

    /// The fraction.
    pub fn fraction(self) -> f64 {
        self.0
    }

    /// `concentration_mmol_per_l` counted per litre of `to` instead of `from`.
    pub fn convert(self, concentration_mmol_per_l: f64, from: Compartment, to: Compartment) -> f64 {
        match (from, to) {
            (Compartment::Blood, Compartment::Plasma) => concentration_mmol_per_l / (1.0 - self.0),
            (Compartment::Plasma, Compartment::Blood) => concentration_mmol_per_l * (1.0 - self.0),
            _ => concentration_mmol_per_l,
        }
    }
}

/// An arterial curve sampled in time, linear between its points.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredCurve {
    times_s: Vec<f64>,
    concentrations_mmol_per_l: Vec<f64>,
    compartment: Compartment,
}

impl MeasuredCurve {
    /// Concentrations (mM, of `compartment`) at `times_s` (s, strictly rising).
    ///
    /// # Errors
    ///
    /// `Mismatch` when lengths differ; `Value` when there are fewer than two points, times do not
    /// rise or a number is not finite.
    pub fn new(
        times_s: Vec<f64>,
        concentrations_mmol_per_l: Vec<f64>,
        compartment: Compartment,
    ) -> Result<Self> {
        if times_s.len() != concentrations_mmol_per_l.len() {
            return Err(Error::mismatch(format!(
                "{} times and {} concentrations of the arterial curve",
                times_s.len(),
                concentrations_mmol_per_l.len()
            )));
        }
        if times_s.len() < 2 {
            return Err(
                Error::value("an arterial curve needs at least 2 points").at_field("times_s")
            );
        }
        let all =
            [("times_s", &times_s), ("concentrations_mmol_per_l", &concentrations_mmol_per_l)];
        for (field, values) in all {
            if let Some(k) = values.iter().position(|value| !value.is_finite()) {
                let message = format!("{} is not a finite number", values[k]);
                return Err(Error::value(message).at_field(format!("{field}[{k}]")));
            }
        }
        if let Some(k) = times_s.windows(2).position(|pair| pair[0] >= pair[1]) {
            let message = format!("time {} s does not come after {} s", times_s[k + 1], times_s[k]);
            return Err(Error::value(message).at_field(format!("times_s[{}]", k + 1)));
        }
        Ok(Self { times_s, concentrations_mmol_per_l, compartment })
    }

    /// Times of the points, s.
    pub fn times_s(&self) -> &[f64] {
        &self.times_s
    }

    /// Concentrations at the points, mM of [`MeasuredCurve::compartment`].
    pub fn concentrations_mmol_per_l(&self) -> &[f64] {
        &self.concentrations_mmol_per_l
    }

    /// What the concentrations are counted per.
    pub fn compartment(&self) -> Compartment {
        self.compartment
    }

    /// Concentration at `time_s`, mM; NaN before the first and after the last point.
    pub fn concentration(&self, time_s: f64) -> f64 {
        let right = self.times_s.partition_point(|&t| t < time_s);
        let Some(&right_time) = self.times_s.get(right) else { return f64::NAN };
        let at_right = self.concentrations_mmol_per_l[right];
        if right_time <= time_s {
            return at_right;
        }
        let Some(left) = right.checked_sub(1) else { return f64::NAN };
        let (left_time, at_left) = (self.times_s[left], self.concentrations_mmol_per_l[left]);
        at_left + (at_right - at_left) * ((time_s - left_time) / (right_time - left_time))
    }
}

/// Concentration in the artery as a function of the time since the bolus arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum ArterialInput {
    /// Two Gaussians and an exponential behind a sigmoid; whole blood.
    Parker,
    /// Two exponentials; plasma.
    Weinmann {
        /// Dose of contrast agent, mmol per kg of body mass.
        dose_mmol_per_kg: f64,
    },
    /// Three exponentials times recirculating gamma variates. The literature calls it plasma in one
    /// place and whole blood in another, so the reader of it must say.
    Georgiou {
        /// What it is taken to be counted per.
        compartment: Compartment,
    },
    /// A table of points on its own time axis.
    Measured(MeasuredCurve),
}

impl ArterialInput {
    /// What [`ArterialInput::concentration`] is counted per.
    pub fn compartment(&self) -> Compartment {
        match self {
            Self::Parker => Compartment::Blood,
            Self::Weinmann { .. } => Compartment::Plasma,
            Self::Georgiou { compartment } => *compartment,
            Self::Measured(curve) => curve.compartment(),
        }
    }

    /// Concentration, mM of [`ArterialInput::compartment`], `time_s` after the arrival: 0 before it.
    /// A measured curve is read at its own time `time_s` and is NaN outside its table.
    pub fn concentration(&self, time_s: f64) -> f64 {
        let minutes = time_s / SECONDS_PER_MINUTE;
        match self {
            Self::Measured(curve) => curve.concentration(time_s),
            _ if time_s < 0.0 => 0.0,
            Self::Parker => parker(minutes),
            Self::Weinmann { dose_mmol_per_kg } => {
                dose_mmol_per_kg
                    * (3.99 * (-0.144 * minutes).exp() + 4.78 * (-0.0111 * minutes).exp())
            }
            Self::Georgiou { .. } => GEORGIOU.concentration(minutes),
        }
    }

    /// Concentration in plasma, mM.
    pub fn plasma(&self, time_s: f64, hematocrit: Hematocrit) -> f64 {
        hematocrit.convert(self.concentration(time_s), self.compartment(), Compartment::Plasma)
    }

    /// Concentration in whole blood, mM.
    pub fn blood(&self, time_s: f64, hematocrit: Hematocrit) -> f64 {
        hematocrit.convert(self.concentration(time_s), self.compartment(), Compartment::Blood)
    }
}

/// Distance of the points of a sampled population curve, s.
const SAMPLING_S: f64 = 0.25;

/// The concentration in plasma from `arrival_s` to `last_frame_s`, 0 before the arrival. A population
/// curve is sampled every 0.25 s, which follows its bolus to 1e-4 of the peak; a measured one keeps its
/// points, and what it has before the arrival is taken for noise.
///
/// # Errors
///
/// As [`PlasmaCurve::new`].
pub fn plasma_curve(
    input: &ArterialInput,
    hematocrit: Hematocrit,
    [arrival_s, last_frame_s]: [f64; 2],
) -> Result<PlasmaCurve> {
    let (mut times_s, mut plasma) = (vec![arrival_s], vec![0.0]);
    if let ArterialInput::Measured(curve) = input {
        for (&time_s, &value) in curve.times_s().iter().zip(curve.concentrations_mmol_per_l()) {
            if time_s > arrival_s {
                times_s.push(time_s);
                plasma.push(hematocrit.convert(value, curve.compartment(), Compartment::Plasma));
            }
        }
        return PlasmaCurve::new(times_s, plasma);
    }
    // A curve that jumps at the arrival rises within a microsecond.
    let n_points = ((last_frame_s - arrival_s) / SAMPLING_S).clamp(1.0, 1e6).ceil() as usize;
    for point in 0..=n_points {
        let since_s = (point as f64 * SAMPLING_S).max(1e-6);
        times_s.push(arrival_s + since_s);
        plasma.push(input.plasma(since_s, hematocrit));
    }
    PlasmaCurve::new(times_s, plasma)
}

fn parker(minutes: f64) -> f64 {
    let gaussian = |area: f64, centre: f64, sigma: f64| {
        let z = (minutes - centre) / sigma;
        area / (sigma * std::f64::consts::TAU.sqrt()) * (-0.5 * z * z).exp()
    };
    let washout = 1.050 * (-0.1685 * minutes).exp() / (1.0 + (-38.078 * (minutes - 0.483)).exp());
    gaussian(0.809, 0.170_46, 0.0563) + gaussian(0.330, 0.365, 0.132) + washout
}

/// Parameters of the Horsfield form, all in minutes.
///
/// The gamma variate is a density in time, 1/min. With times in seconds it would have to be
/// multiplied by 60, or the curve comes out 60 times too small.
struct RecirculatingBolus {
    amplitudes_mmol_per_l: [f64; 3],
    rates_per_min: [f64; 3],
    shape: f64,
    scale_min: f64,
    recirculation_min: f64,
}

/// With the digits that the table of the publication leaves out: its formula fitted to the curve of its
/// supplement, `tests/it/golden/georgiou.py`. The printed ones (0.37, 0.33, 10.06; 0.11, 1.17, 16.02;
/// 5.26, 0.032, 0.129) leave that curve by up to 0.082 mM, these by 2e-5 mM.
const GEORGIOU: RecirculatingBolus = RecirculatingBolus {
    amplitudes_mmol_per_l: [0.374_303_09, 0.331_185_89, 10.060_879_3],
    rates_per_min: [0.112_690_08, 1.174_511_97, 16.019_627_2],
    shape: 5.266_967_74,
    scale_min: 0.032_078_92,
    recirculation_min: 0.128_556_13,
};

impl RecirculatingBolus {
    fn concentration(&self, minutes: f64) -> f64 {
        let washout: f64 = self
            .amplitudes_mmol_per_l
            .iter()
            .zip(self.rates_per_min)
            .map(|(amplitude, rate)| amplitude * (-rate * minutes).exp())
            .sum();
        let mut passages = 0.0;
        let mut passage = 0.0_f64;
        while passage * self.recirculation_min < minutes {
            let shape = (passage + 1.0) * self.shape + passage;
            passages += self.gamma_density(shape, minutes - passage * self.recirculation_min);
            passage += 1.0;
        }
        washout * passages
    }

    /// Gamma variate t^shape·e^(−t/β)/(β^(shape+1)·Γ(shape+1)), 1/min.
    fn gamma_density(&self, shape: f64, minutes: f64) -> f64 {
        let scaled = minutes / self.scale_min;
        (shape * scaled.ln() - scaled - ln_gamma(shape + 1.0)).exp() / self.scale_min
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perfusion::area_under_curve;

    /// Peak, its time and the area over 60 s, sampled every 0.5 ms.
    fn peak_and_area(curve: impl Fn(f64) -> f64) -> [f64; 3] {
        let times: Vec<f64> = (0..=120_000).map(|n| f64::from(n) * 5e-4).collect();
        let values: Vec<f64> = times.iter().map(|&t| curve(t)).collect();
        let (mut peak, mut at) = (0.0, 0.0);
        for (&t, &value) in times.iter().zip(&values) {
            if value > peak {
                (peak, at) = (value, t);
            }
        }
        [peak, at, area_under_curve(&times, &values, 0.0, 60.0).unwrap()]
    }

    #[test]
    fn parker_has_its_known_peak_and_area() {
        let [peak, at, area] = peak_and_area(|t| ArterialInput::Parker.concentration(t));
        assert!((peak - 6.073).abs() < 5e-4, "{peak}");
        assert!((at - 10.35).abs() < 0.01, "{at}");
        assert!((area - 96.99).abs() < 5e-3, "{area}");
        let [_, _, plasma] =
            peak_and_area(|t| ArterialInput::Parker.plasma(t, Hematocrit::DEFAULT));
        assert!((plasma - 167.22).abs() < 5e-3, "{plasma}");
    }

    #[test]
    fn georgiou_in_minutes_has_no_factor_of_sixty_missing() {
        let georgiou = ArterialInput::Georgiou { compartment: Compartment::Blood };
        let [peak, _, area] = peak_and_area(|t| georgiou.concentration(t));
        // numpy, tests/it/golden/georgiou.py.
        assert!((peak - 8.645_478).abs() < 1e-5, "{peak}");
        assert!((area - 141.654_5).abs() < 1e-3, "{area}");
        assert!(
            (georgiou.plasma(20.0, Hematocrit::DEFAULT) * 0.58 - georgiou.concentration(20.0))
                .abs()
                < 1e-12
        );
    }

    #[test]
    fn georgiou_rounded_to_seconds_gives_the_catalogued_peak_and_area() {
        // Rates 0.002, 0.02, 0.267 /s, β 1.92 s and τ 7.74 s, as catalogues print them.
        let rounded = RecirculatingBolus {
            rates_per_min: [0.12, 1.2, 16.02],
            recirculation_min: 7.74 / 60.0,
            amplitudes_mmol_per_l: [0.37, 0.33, 10.06],
            shape: 5.26,
            scale_min: 0.032,
        };
        let [peak, _, area] = peak_and_area(|t| rounded.concentration(t / 60.0));
        assert!((peak - 8.69).abs() < 5e-3, "{peak}");
        assert!((area - 140.7).abs() < 0.05, "{area}");
    }

    #[test]
    fn weinmann_starts_at_its_two_amplitudes_and_is_plasma() {
        let weinmann = ArterialInput::Weinmann { dose_mmol_per_kg: 0.1 };
        assert!((weinmann.concentration(0.0) - 0.877).abs() < 1e-12);
        assert_eq!(weinmann.compartment(), Compartment::Plasma);
        let blood = weinmann.blood(600.0, Hematocrit::DEFAULT);
        let expected = 0.58 * 0.1 * (3.99 * (-1.44_f64).exp() + 4.78 * (-0.111_f64).exp());
        assert!((blood - expected).abs() < 1e-14);
    }

    #[test]
    fn nothing_flows_before_the_arrival() {
        let curves = [
            ArterialInput::Parker,
            ArterialInput::Weinmann { dose_mmol_per_kg: 0.1 },
            ArterialInput::Georgiou { compartment: Compartment::Plasma },
        ];
        for curve in curves {
            assert!(curve.concentration(-1e-9).abs() < 1e-300);
            assert!(curve.concentration(600.0).is_finite());
            assert!(curve.concentration(f64::NAN).is_nan() || curve.concentration(f64::NAN) >= 0.0);
        }
    }

    #[test]
    fn a_measured_curve_is_linear_between_points_and_nothing_beyond() {
        let curve =
            MeasuredCurve::new(vec![0.0, 2.0, 6.0], vec![1.0, 3.0, -1.0], Compartment::Plasma)
                .unwrap();
        for (t, expected) in [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 2.0), (6.0, -1.0)] {
            assert!((curve.concentration(t) - expected).abs() < 1e-15);
        }
        for t in [-0.1, 6.1, f64::NAN] {
            assert!(curve.concentration(t).is_nan(), "{t}");
        }
        let input = ArterialInput::Measured(curve);
        assert!((input.blood(2.0, Hematocrit::new(0.5).unwrap()) - 1.5).abs() < 1e-15);
    }

    #[test]
    fn plasma_begins_at_the_arrival_and_follows_the_curve() {
        let curve =
            plasma_curve(&ArterialInput::Parker, Hematocrit::DEFAULT, [26.1, 300.0]).unwrap();
        assert!((curve.times_s()[0] - 26.1).abs() < 1e-12);
        assert!(curve.times_s().last().is_some_and(|&time| time >= 300.0));
        let sampled = MeasuredCurve::new(
            curve.times_s().to_vec(),
            curve.concentrations_mmol_per_l().to_vec(),
            Compartment::Plasma,
        );
        for step in 0..2000 {
            let time = 26.2 + f64::from(step) * 0.1;
            let exact = ArterialInput::Parker.plasma(time - 26.1, Hematocrit::DEFAULT);
            let found = sampled.as_ref().unwrap().concentration(time);
            // Linear between points: 0.25²/8 of the second derivative, below 1e-3 of the peak.
            assert!((found - exact).abs() < 1e-4 * 10.5 + 0.01 * exact, "{time}");
        }
        let table = MeasuredCurve::new(
            vec![0.0, 20.0, 30.0, 60.0],
            vec![0.1, 0.2, 5.8, 2.9],
            Compartment::Blood,
        );
        let measured = ArterialInput::Measured(table.unwrap());
        let curve = plasma_curve(&measured, Hematocrit::DEFAULT, [25.0, 60.0]).unwrap();
        assert_eq!(curve.times_s(), [25.0, 30.0, 60.0]);
        assert!((curve.concentrations_mmol_per_l()[1] - 10.0).abs() < 1e-12);
    }

    #[test]
    fn bad_tables_and_hematocrits_are_named() {
        let new = |t: &[f64], c: &[f64]| {
            MeasuredCurve::new(t.to_vec(), c.to_vec(), Compartment::Blood).unwrap_err()
        };
        assert_eq!(new(&[0.0, 0.0], &[1.0, 1.0]).field(), Some("times_s[1]"));
        let nan = new(&[0.0, 1.0], &[1.0, f64::NAN]);
        assert_eq!(nan.field(), Some("concentrations_mmol_per_l[1]"));
        assert!(new(&[0.0], &[1.0]).message().contains("at least 2"));
        assert!(new(&[0.0, 1.0], &[1.0]).message().contains("2 times and 1"));
        for fraction in [1.0, 42.0, -0.1, f64::NAN] {
            assert_eq!(Hematocrit::new(fraction).unwrap_err().field(), Some("hematocrit"));
        }
    }
}
