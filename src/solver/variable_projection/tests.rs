use super::*;
use crate::random::StreamKey;

/// f = e^(−rate·x), written as 1 at the first abscissa.
struct Decay(Vec<f64>);

impl Basis for Decay {
    fn n_samples(&self) -> usize {
        self.0.len()
    }

    fn evaluate(&self, rate: f64, curve: &mut [f64], first: &mut [f64], second: &mut [f64]) {
        for (k, x) in self.0.iter().map(|x| x - self.0[0]).enumerate() {
            curve[k] = (-rate * x).exp();
            first[k] = -x * curve[k];
            second[k] = x * x * curve[k];
        }
    }

    fn log_factor(&self, rate: f64) -> [f64; 2] {
        [-rate * self.0[0], -self.0[0]]
    }
}

const ECHOES: [f64; 6] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06];

fn solver(x: &[f64], bounds: [f64; 2]) -> VariableProjection<Decay> {
    VariableProjection::new(Decay(x.to_vec()), None, bounds).unwrap()
}

fn solve(solver: &VariableProjection<Decay>, samples: &[f64]) -> Projection {
    solver.solve(samples, &mut vec![0.0; solver.scratch_len()])
}

/// Lowest RSS over a dense scan of 20 001 rates, with amplitudes ≥ 0: an exhaustive search.
fn scan(x: &[f64], samples: &[f64], [low, high]: [f64; 2]) -> f64 {
    let n = 20_000;
    let total: f64 = samples.iter().map(|s| s * s).sum();
    let mut best = total;
    for i in 0..=n {
        // Quadratic spacing: the curve changes fastest at low rates.
        let rate = low + (high - low) * (f64::from(i) / f64::from(n)).powi(2);
        let (mut p, mut q) = (0.0, 0.0);
        for (x, s) in x.iter().zip(samples) {
            let f = (-rate * x).exp();
            p += f * s;
            q += f * f;
        }
        if p > 0.0 {
            best = best.min(total - p * p / q);
        }
    }
    best
}

#[test]
fn two_diffusion_samples_give_the_exact_coefficient() {
    let solver = solver(&[0.0, 800.0], [-0.5e-3, 6e-3]);
    let found = solve(&solver, &[1000.0, 1000.0 * (-0.8_f64).exp()]);
    assert_eq!(found.ending, Ending::Converged);
    assert!((found.rate - 1e-3).abs() < 1e-15 && (found.amplitude - 1000.0).abs() < 1e-10);
    assert!(found.residual_sum_of_squares < 1e-20);
}

#[test]
fn rates_are_recovered_over_the_whole_range_and_at_every_scale() {
    let solver = solver(&ECHOES, [1.0, 500.0]);
    for i in 0..=400 {
        let rate = 1.01 * (499.0_f64 / 1.01).powf(f64::from(i) / 400.0);
        let clean = ECHOES.map(|x| (-rate * x).exp());
        for scale in [1e-6, 20.0, 1e6, 1e-290, 1e300] {
            let found = solve(&solver, &clean.map(|sample| sample * scale));
            assert_eq!(found.ending, Ending::Converged, "{rate} {scale}");
            // Rounding of the samples times what an error of a sample does to the rate: near 500/s
            // five of six samples are below 1 % of the first.
            let unit = solve(&solver, &clean);
            let rounding = f64::EPSILON * clean[0];
            let tolerance = |variance: f64| 16.0 * rounding * variance.sqrt() + 1e-12;
            let error = (found.rate / rate - 1.0).abs();
            assert!(
                error < tolerance(unit.unscaled_covariance[0] / rate.powi(2)) && error < 1e-11,
                "{rate} {scale} {error} {found:?}"
            );
            let error = (found.amplitude / scale - 1.0).abs();
            assert!(error < tolerance(unit.unscaled_covariance[3]), "{rate} {scale} {found:?}");
        }
    }
}

#[test]
fn scaling_the_samples_leaves_the_rate() {
    let solver = solver(&ECHOES, [1.0, 500.0]);
    let key = StreamKey::new(1, "scale");
    for voxel in 0..500 {
        let mut stream = key.stream(voxel, 0);
        let samples = ECHOES.map(|x| (-20.0 * x).exp() + 0.3 * stream.normal());
        let reference = solve(&solver, &samples);
        for scale in [1e-6, 20.0, 1e6] {
            let found = solve(&solver, &samples.map(|sample| sample * scale));
            assert_eq!(found.ending, reference.ending);
            if found.rate.is_finite() {
                // The samples themselves are rounded; flat optima feel it most.
                assert!((found.rate / reference.rate - 1.0).abs() < 1e-9);
            }
        }
    }
}

/// Noise alone has several local maxima in some percent of the voxels; none may win over the best.
#[test]
fn no_rate_fits_noise_better_than_the_one_found() {
    let protocols: [(&[f64], [f64; 2]); 4] = [
        (&ECHOES, [1.0, 500.0]),
        (&[0.0, 0.2, 0.5, 1.0], [-0.5, 6.0]),
        (&[0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8], [-0.5, 6.0]),
        (&[0.0, 0.1, 0.7, 1.5, 2.5, 4.0, 4.1, 6.0, 7.0, 9.0], [-0.5, 6.0]),
    ];
    for (index, (x, bounds)) in protocols.into_iter().enumerate() {
        let solver = solver(x, bounds);
        let key = StreamKey::new(index as u64, "noise");
        let mut inside = 0;
        for voxel in 0..1500 {
            let mut stream = key.stream(voxel, 0);
            let rician = voxel % 2 == 0;
            let samples: Vec<f64> =
                x.iter()
                    .map(|_| {
                        if rician {
                            stream.normal().hypot(stream.normal())
                        } else {
                            stream.normal()
                        }
                    })
                    .collect();
            let total: f64 = samples.iter().map(|s| s * s).sum();
            let found = solve(&solver, &samples);
            let rss = if found.ending == Ending::NoPositiveAmplitude {
                total
            } else {
                found.residual_sum_of_squares
            };
            let best = scan(x, &samples, bounds);
            assert!(rss <= best + 1e-12 * total, "{voxel}: {rss} > {best} {samples:?} {found:?}");
            inside += u32::from(found.ending == Ending::Converged);
        }
        assert!(inside > 300, "{inside}");
    }
}

#[test]
fn optima_beyond_the_bounds_end_at_the_bounds() {
    let solver = solver(&ECHOES, [1.0, 500.0]);
    let flat = solve(&solver, &[5.0; 6]);
    assert_eq!((flat.ending, flat.rate.to_bits()), (Ending::AtLowerBound, 1.0_f64.to_bits()));
    let spike = solve(&solver, &[5.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!((spike.ending, spike.rate.to_bits()), (Ending::AtUpperBound, 500.0_f64.to_bits()));
}

#[test]
fn amplitudes_are_never_negative() {
    let solver = solver(&ECHOES, [1.0, 500.0]);
    for samples in [[0.0; 6], [-1.0; 6], [-9.0, -5.0, -3.0, -1.0, 0.1, 0.1]] {
        let found = solve(&solver, &samples);
        assert_eq!(found.ending, Ending::NoPositiveAmplitude);
        assert!(found.rate.is_nan() && found.amplitude.is_nan());
    }
    let mixed = solve(&solver, &[9.0, -1.0, 2.0, 0.0, 1.0, -1.0]);
    assert!(mixed.amplitude > 0.0);
}

#[test]
fn weights_count_repeats() {
    let samples = [1000.0, 600.0, 390.0];
    let weighted =
        VariableProjection::new(Decay(vec![0.0, 0.5, 1.0]), Some(&[1.0, 2.0, 3.0]), [-0.5, 6.0])
            .unwrap();
    let repeated = solver(&[0.0, 0.5, 0.5, 1.0, 1.0, 1.0], [-0.5, 6.0]);
    let a = solve(&weighted, &samples);
    let b = solve(&repeated, &[1000.0, 600.0, 600.0, 390.0, 390.0, 390.0]);
    assert!((a.rate / b.rate - 1.0).abs() < 1e-13);
    assert!((a.residual_sum_of_squares / b.residual_sum_of_squares - 1.0).abs() < 1e-10);
    for (a, b) in a.unscaled_covariance.iter().zip(b.unscaled_covariance) {
        assert!((a / b - 1.0).abs() < 1e-11);
    }
}

/// Closed form of the design: u = √(1 + e^(2x)) / (x·SNR), x = b·D, for samples at 0 and b.
#[test]
fn covariance_of_two_samples_is_the_cramer_rao_bound() {
    let solver = solver(&[0.0, 1.0], [-0.5, 6.0]);
    let u = |x: f64| {
        let found = solve(&solver, &[40.0, 40.0 * (-x).exp()]);
        40.0 * found.unscaled_covariance[0].sqrt() / x
    };
    for x in [0.2, 0.7, 1.109, 2.5] {
        assert!((u(x) / ((1.0 + (2.0 * x).exp()).sqrt() / x) - 1.0).abs() < 1e-12);
    }
    assert!((u(1.109) - 2.878).abs() < 5e-4);
}

#[test]
fn covariance_is_the_inverse_of_the_normal_matrix() {
    let x = [0.3, 0.5, 0.9, 1.4];
    let found = solve(&solver(&x, [-0.5, 6.0]), &[800.0, 610.0, 390.0, 170.0]);
    let mut normal = [0.0; 4];
    for x in x {
        let f = (-found.rate * x).exp();
        let row = [-x * found.amplitude * f, f];
        for i in 0..4 {
            normal[i] += row[i / 2] * row[i % 2];
        }
    }
    let c = found.unscaled_covariance;
    let product = [
        normal[0] * c[0] + normal[1] * c[2],
        normal[0] * c[1] + normal[1] * c[3],
        normal[2] * c[0] + normal[3] * c[2],
        normal[2] * c[1] + normal[3] * c[3],
    ];
    for (entry, wanted) in product.iter().zip([1.0, 0.0, 0.0, 1.0]) {
        assert!((entry - wanted).abs() < 1e-9, "{product:?}");
    }
}

#[test]
fn samples_that_are_not_finite_are_degenerate() {
    let solver = solver(&ECHOES, [1.0, 500.0]);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(solve(&solver, &[3.0, 2.0, bad, 1.0, 1.0, 1.0]).ending, Ending::Degenerate);
    }
}

#[test]
fn bounds_and_weights_are_checked() {
    let new = |weights: Option<&[f64]>, bounds| {
        VariableProjection::new(Decay(vec![0.0, 1.0]), weights, bounds).map(|_| ())
    };
    assert!(new(None, [0.0, 1.0]).is_ok());
    assert_eq!(new(None, [1.0, 1.0]).unwrap_err().field(), Some("bounds"));
    assert!(new(None, [0.0, f64::INFINITY]).is_err());
    assert!(new(None, [f64::NAN, 1.0]).is_err());
    assert_eq!(new(Some(&[1.0, 0.0]), [0.0, 1.0]).unwrap_err().field(), Some("weights"));
    assert!(new(Some(&[1.0]), [0.0, 1.0]).is_err());
    let constant = VariableProjection::new(Decay(vec![0.5, 0.5]), None, [0.0, 1.0]);
    assert!(constant.err().unwrap().to_string().contains("do not depend on a rate"));
}

/// Unit curve at a rate.
fn direction(x: &[f64], rate: f64) -> Vec<f64> {
    let curve: Vec<f64> = x.iter().map(|x| (-rate * x).exp()).collect();
    let norm = curve.iter().map(|f| f * f).sum::<f64>().sqrt();
    curve.iter().map(|f| f / norm).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Samples made to deceive: at one rate the first three derivatives of their profile vanish, so it
/// has a nearly flat top there that may hide two maxima within one interval.
fn flat_samples(x: &[f64], stream: &mut crate::random::Stream) -> Vec<f64> {
    let (rate, step) = (-0.3 + 3.5 * stream.uniform(), 0.02);
    let at: Vec<Vec<f64>> = (-2..=2).map(|k| direction(x, rate + f64::from(k) * step)).collect();
    let stencils =
        [[0.0, -1.0, 0.0, 1.0, 0.0], [0.0, 1.0, -2.0, 1.0, 0.0], [-1.0, 2.0, 0.0, -2.0, 1.0]];
    let share = stream.uniform();
    let mut samples: Vec<f64> =
        at[2].iter().map(|u| share * stream.normal() + (1.0 - share) * u).collect();
    let mut frame: Vec<Vec<f64>> = Vec::new();
    for stencil in stencils {
        let mut axis: Vec<f64> =
            (0..x.len()).map(|k| stencil.iter().zip(&at).map(|(c, u)| c * u[k]).sum()).collect();
        for other in &frame {
            let along = dot(&axis, other);
            axis.iter_mut().zip(other).for_each(|(a, o)| *a -= along * o);
        }
        let norm = dot(&axis, &axis).sqrt();
        axis = axis.iter().map(|a| a / norm).collect();
        let along = dot(&samples, &axis);
        samples.iter_mut().zip(&axis).for_each(|(s, a)| *s -= along * a);
        frame.push(axis);
    }
    let tilt = 10.0_f64.powf(-2.0 - 4.0 * stream.uniform());
    samples.iter().map(|sample| sample + tilt * stream.normal()).collect()
}

#[test]
fn flat_tops_hide_no_better_maximum() {
    let x = [0.0, 0.1, 0.3, 0.7, 1.1, 1.5, 2.0, 2.5];
    let bounds = [-0.5, 6.0];
    let solver = solver(&x, bounds);
    for voxel in 0..600 {
        let samples = flat_samples(&x, &mut StreamKey::new(9, "flat").stream(voxel, 0));
        let total = dot(&samples, &samples);
        let found = solve(&solver, &samples);
        let rss = if found.ending == Ending::NoPositiveAmplitude {
            total
        } else {
            found.residual_sum_of_squares
        };
        let excess = (rss - scan(&x, &samples, bounds)) / total;
        // Without the closer look at unsettled intervals the worst is 9e-9.
        assert!(excess < 1e-12, "{excess} {samples:?} {found:?}");
    }
}
