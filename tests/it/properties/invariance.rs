//! The order and the scale of the samples do not matter.

use super::*;
use biomarker::acquisition::{Diffusion, MultiEcho, VariableFlipAngle};

/// The same volumes in another order; `None` where the order is part of the protocol.
fn permuted(protocol: &Protocol, order: &[usize]) -> Option<Protocol> {
    let pick = |values: &[f64]| order.iter().map(|&k| values[k]).collect::<Vec<f64>>();
    Some(match protocol {
        Protocol::Diffusion(p) => {
            Protocol::Diffusion(Diffusion::new(pick(p.b_values_s_per_mm2())).unwrap())
        }
        Protocol::MultiEcho(p) => {
            Protocol::MultiEcho(MultiEcho::new(pick(p.echo_times_s())).unwrap())
        }
        Protocol::VariableFlipAngle(p) => {
            let flips = pick(p.flip_angles_rad());
            let repetition_time_s = p.repetition_time_s();
            Protocol::VariableFlipAngle(VariableFlipAngle::new(flips, repetition_time_s).unwrap())
        }
        Protocol::Dynamic(_) => return None,
    })
}

fn shuffled(n: usize, stream: &mut Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for k in (1..n).rev() {
        order.swap(k, stream.below(k + 1));
    }
    order
}

/// Part of a standard error that two fits of the same voxel may differ by: none where variable
/// projection ends at the optimum itself; a millionth where an iteration stops because a step promises
/// less than 10⁻¹⁷ of the sum of squares.
fn left_undone(model: &dyn Model, method: FitMethod) -> f64 {
    let is_projected = model.separable().is_some() && method == FitMethod::NonlinearLeastSquares;
    if is_projected { 0.0 } else { 1e-6 }
}

/// Passes where two fits of the same voxel differ by rounding, and by the part `undone` of the
/// standard error at `sigma`.
fn require_same(place: &str, [a, b]: [&Fit; 2], factors: &[f64], [sigma, undone]: [f64; 2]) {
    assert_eq!(a.status, b.status, "{place} {a:?} {b:?}");
    if a.status != FitStatus::Converged {
        return;
    }
    let p = a.estimates.len();
    for (parameter, factor) in factors.iter().enumerate() {
        let error = sigma * a.unscaled_covariance[parameter * (p + 1)].sqrt();
        let difference = (b.estimates[parameter] / factor - a.estimates[parameter]).abs();
        let limit = 1e-11 * a.estimates[parameter].abs() + undone * error;
        assert!(difference <= limit, "{place}: {difference} of {limit}, {a:?} {b:?}");
    }
}

#[test]
fn the_order_of_volumes_does_not_matter() {
    for_each(|entry, protocol, model| {
        for voxel in 0..25 {
            let mut stream = StreamKey::new(3, entry.name).stream(voxel, 0);
            let (samples, sigma) = noisy(entry, &*model, &mut stream);
            let order = shuffled(samples.len(), &mut stream);
            let Some(other) = permuted(protocol, &order) else { return };
            let moved: Vec<f64> = order.iter().map(|&k| samples[k]).collect();
            for_each_method(entry, protocol, sigma, |method, estimator| {
                let there = self::estimator(entry, &other, &settings(method, sigma)).unwrap();
                let fits = [&run(&*estimator, &samples), &run(&*there, &moved)];
                let place = format!("{} {method:?} {samples:?} {order:?}", entry.name);
                require_same(
                    &place,
                    fits,
                    &vec![1.0; fits[0].estimates.len()],
                    [sigma, left_undone(&*model, method)],
                );
            });
        }
    });
}

/// What a parameter is multiplied by when all samples are multiplied by `scale`.
fn factors(entry: &ModelEntry, scale: f64) -> Vec<f64> {
    let is_signal = |p: &biomarker::model::Parameter| p.unit == biomarker::unit::Unit::Arbitrary;
    entry.parameters.iter().map(|p| if is_signal(p) { scale } else { 1.0 }).collect()
}

#[test]
fn the_unit_of_the_signal_does_not_matter() {
    for_each(|entry, protocol, model| {
        // Concentrations have a unit that the plasma curve shares.
        if entry.protocol == ProtocolKind::Dynamic {
            return;
        }
        for voxel in 0..12 {
            let mut stream = StreamKey::new(8, entry.name).stream(voxel, 0);
            let (samples, sigma) = noisy(entry, &*model, &mut stream);
            for scale in [1e-6, 20.0, 1e6] {
                let moved: Vec<f64> = samples.iter().map(|sample| sample * scale).collect();
                for_each_method(entry, protocol, sigma, |method, estimator| {
                    let own = settings(method, sigma * scale);
                    let there = self::estimator(entry, protocol, &own).unwrap();
                    let fits = [&run(&*estimator, &samples), &run(&*there, &moved)];
                    let place = format!("{} {method:?} {scale} {samples:?}", entry.name);
                    let undone = left_undone(&*model, method);
                    require_same(&place, fits, &factors(entry, scale), [sigma, undone]);
                    let errors = fits.map(|fit| fit.unscaled_covariance[0]);
                    let ratio = errors[1] * scale * scale / errors[0];
                    // Taken at estimates that may differ by that part of their error.
                    let limit = 1e-9 + 10.0 * undone;
                    assert!(!fits[0].status.is_settled() || (ratio - 1.0).abs() < limit, "{place}");
                });
            }
        }
    });
}
