use fearless_simd::Level;

use super::*;
use crate::acquisition::{Diffusion, MultiEcho, Protocol};
use crate::fit::{FitSettings, estimator};
use crate::model::{Estimator, Fit, FitStatus, VoxelData, find};
use crate::random::{Spread, StreamKey};
use crate::solver::variable_projection::{FITS, Responses};

/// Replicates of one fit.
const N: usize = 1000;

/// A model, its protocol, and the headline and noise (amplitude 1000) to draw around.
fn cases() -> Vec<(&'static str, Protocol, [f64; 2])> {
    let echoes = |n: u32| (1..=n).map(|echo| 0.01 * f64::from(echo)).collect::<Vec<_>>();
    let diffusion = |b: &[f64]| Protocol::Diffusion(Diffusion::new(b.to_vec()).unwrap());
    let multi_echo = |times: Vec<f64>| Protocol::MultiEcho(MultiEcho::new(times).unwrap());
    let mut cases = Vec::new();
    for sigma in [2.0, 20.0, 60.0] {
        for adc in [0.3e-3, 1.2e-3, 2.5e-3] {
            cases.push(("adc", diffusion(&[0.0, 200.0, 500.0, 1000.0]), [adc, sigma]));
            cases.push(("adc", diffusion(&[50.0, 400.0, 800.0]), [adc, sigma]));
            cases.push(("adc", diffusion(&[3.0, 127.1, 500.3, 977.7, 988.0]), [adc, sigma]));
        }
        for t2 in [0.02, 0.05, 0.15] {
            cases.push(("t2", multi_echo(echoes(6)), [t2, sigma]));
            cases.push(("t2", multi_echo(echoes(32)), [t2, sigma]));
        }
    }
    cases
}

/// One fit whose replicates are estimated both ways.
struct Case {
    estimator: Box<dyn Estimator>,
    estimates: [f64; 2],
    sigma: f64,
}

impl Case {
    fn new((model, protocol, [headline, sigma]): &(&str, Protocol, [f64; 2])) -> Self {
        let settings = FitSettings::default();
        let estimator = estimator(find(model).unwrap(), protocol, &settings).unwrap();
        Self { estimator, estimates: [*headline, 1000.0], sigma: *sigma }
    }

    fn responses(&self) -> Responses {
        let mut responses = Responses::default();
        let estimates = self.estimates.map(|estimate| [estimate; FITS]);
        assert!(self.estimator.respond(&estimates, self.sigma, &mut responses));
        responses
    }

    /// Estimates and the places of those that are not settled.
    fn quick(&self, noise: NoiseDistribution, level: Level) -> ([Vec<f64>; 2], Vec<usize>) {
        let responses = self.responses();
        let stream = StreamKey::new(1, "quick").lanes(7, level);
        let quick = Quick { stream: &stream, response: responses.of(3), distribution: noise };
        let mut columns = [vec![f64::NAN; N], vec![f64::NAN; N]];
        let mut unsettled: Vec<usize> = (0..N).collect();
        if quick.is_usable() {
            unsettled.clear();
            let [headlines, amplitudes] = &mut columns;
            quick.estimate(5, [headlines, amplitudes], &mut unsettled);
        }
        (columns, unsettled)
    }

    /// Estimates of the same draws, one after the other through the solver of single lanes.
    fn plain(&self, noise: NoiseDistribution) -> Vec<Fit> {
        let n = self.estimator.n_samples();
        let mut scratch = vec![0.0; self.estimator.scratch_len()];
        let mut fit = Fit::new(2);
        fit.estimates.copy_from_slice(&self.estimates);
        let mut expected = vec![0.0; n];
        let none = VoxelData { samples: &[], fixed: &[] };
        self.estimator.expected(none, &fit, &mut scratch, &mut expected);
        let spread = |&centre: &f64| Spread { centre, sigma: self.sigma };
        let rows: Vec<Spread> = expected.iter().map(spread).collect();
        let stream = StreamKey::new(1, "quick").lanes(7, Level::new());
        let mut lanes = vec![0.0; n * N];
        match noise {
            NoiseDistribution::Gaussian => stream.gaussian(5, &rows, &mut lanes),
            NoiseDistribution::Rician => rician::draw_lanes(&stream, 5, &rows, &mut lanes),
        }
        let mut samples = vec![0.0; n];
        let of_lane = |lane: usize| {
            for (k, sample) in samples.iter_mut().enumerate() {
                *sample = lanes[k * N + lane];
            }
            let voxel = VoxelData { samples: &samples, fixed: &[] };
            self.estimator.estimate(voxel, &mut scratch, &mut fit);
            fit.clone()
        };
        (0..N).map(of_lane).collect()
    }
}

#[test]
fn settled_replicates_are_those_of_the_single_lane_solver() {
    for case in cases() {
        let own = Case::new(&case);
        for noise in [NoiseDistribution::Gaussian, NoiseDistribution::Rician] {
            let ([headlines, amplitudes], unsettled) = own.quick(noise, Level::new());
            let plain = own.plain(noise);
            let name = (case.0, case.2, own.estimator.n_samples(), noise);
            // Magnitudes are drawn in single precision, which rounds them by 6e-8 of the signal.
            let tolerance = if noise == NoiseDistribution::Rician { 2e-6 } else { 5e-7 };
            for lane in (0..N).filter(|lane| !unsettled.contains(lane)) {
                assert_eq!(plain[lane].status, FitStatus::Converged);
                let found = [headlines[lane], amplitudes[lane]];
                for (found, exact) in found.iter().zip(&plain[lane].estimates) {
                    let off = (found / exact - 1.0).abs();
                    assert!(off < tolerance, "{name:?} {found} {exact} {off}");
                }
            }
            // Nearly all at a signal-to-noise ratio of 50, where the samples are not noise alone.
            let quiet = own.sigma <= 20.0 && (case.0 == "adc" || case.2[0] >= 0.05);
            let is_single = noise == NoiseDistribution::Gaussian || own.sigma > 5.0;
            assert!(!(quiet && is_single) || unsettled.len() < N / 20, "{name:?}");
        }
    }
}

#[test]
fn every_level_gives_the_same_bytes() {
    let Some(token) = Level::new().as_avx2() else { return };
    for case in cases() {
        let own = Case::new(&case);
        for noise in [NoiseDistribution::Gaussian, NoiseDistribution::Rician] {
            let bits = |level: Level| {
                let (columns, unsettled) = own.quick(noise, level);
                let bits = |column: Vec<f64>| column.into_iter().map(f64::to_bits).collect();
                (columns.map(bits), unsettled) as ([Vec<u64>; 2], _)
            };
            assert_eq!(bits(Level::new()), bits(Level::Avx2(token)));
        }
    }
}

#[test]
fn a_fit_has_the_same_response_among_any_others() {
    let cases = cases();
    let own = Case::new(&cases[0]);
    let alone = own.responses();
    let mut estimates = own.estimates.map(|estimate| [estimate; FITS]);
    estimates[0] = [f64::NAN, 1e300, -1.0, own.estimates[0], 0.0, 1e-300, 3.0, f64::INFINITY];
    estimates[1] = [1.0, f64::NAN, 5.0, own.estimates[1], f64::INFINITY, 0.0, -1.0, 1e300];
    let mut among = Responses::default();
    assert!(own.estimator.respond(&estimates, own.sigma, &mut among));
    let stream = StreamKey::new(1, "others").lanes(7, Level::new());
    let draw = |responses: &Responses, fit: usize| {
        let distribution = NoiseDistribution::Gaussian;
        let quick = Quick { stream: &stream, response: responses.of(fit), distribution };
        let mut columns = [vec![0.0; 64], vec![0.0; 64]];
        let mut unsettled = Vec::new();
        let [headlines, amplitudes] = &mut columns;
        quick.estimate(0, [headlines, amplitudes], &mut unsettled);
        (quick.is_usable(), columns, unsettled)
    };
    assert_eq!(draw(&alone, 0), draw(&among, 3));
    for fit in [0, 1, 2, 4, 5, 7] {
        assert!(!among.of(fit).is_usable(), "{fit}");
    }
}
