use super::*;

use crate::model::find;

/// A bolus that arrives between frames, on a finer axis than the frames.
fn protocol(frames: &[f64]) -> Protocol {
    let times: Vec<f64> = (0..1000).map(|k| 21.3 + f64::from(k) * 0.4).collect();
    let plasma = times.iter().map(|t| {
        let since = (t - 21.3) / 60.0;
        30.0 * since * (-since / 0.15).exp()
            + 1.2 * (-(-since / 0.3).exp_m1()) * (-since / 6.0).exp()
    });
    let curve = PlasmaCurve::new(times.clone(), plasma.collect()).unwrap();
    let dynamic = Dynamic::new(frames.to_vec(), 0.004, 0.26).unwrap();
    Protocol::Dynamic(dynamic.with_plasma_curve(curve).unwrap())
}

fn frames() -> Vec<f64> {
    (0..50).map(|k| f64::from(k) * 4.0 + f64::from(k % 3) * 0.5).collect()
}

const TISSUES: [[f64; 3]; 5] = [
    [0.25 / 60.0, 0.2, 0.1],
    [0.02 / 60.0, 0.5, 0.01],
    [1.0 / 60.0, 0.9, 0.0],
    [0.5 / 60.0, 0.03, 0.05],
    [0.001 / 60.0, 0.7, 0.02],
];

fn models() -> [(usize, Box<dyn Model>); 2] {
    [("tofts", 2), ("extended_tofts", 3)]
        .map(|(name, n)| (n, (find(name).unwrap().build)(&protocol(&frames())).unwrap()))
}

#[test]
fn jacobian_is_that_of_central_differences() {
    for (n, model) in models() {
        for tissue in TISSUES {
            let mut jacobian = vec![0.0; 50 * n];
            model.jacobian(&tissue[..n], &[], &mut jacobian);
            for parameter in 0..n {
                let step = 1e-5 * tissue[parameter].max(1e-3);
                let at = |step: f64| {
                    let (mut moved, mut signal) = (tissue, vec![0.0; 50]);
                    moved[parameter] += step;
                    model.signal(&moved[..n], &[], &mut signal);
                    signal
                };
                let (up, down) = (at(step), at(-step));
                let scale = (0..50).map(|k| jacobian[k * n + parameter].abs()).fold(0.0, f64::max);
                for k in 0..50 {
                    let difference = (up[k] - down[k]) / (2.0 * step);
                    let own = jacobian[k * n + parameter];
                    // Differences of step h: h²/6 of the third derivative, and rounding over h.
                    assert!((own - difference).abs() < 1e-6 * scale, "{own} {difference}");
                }
            }
        }
    }
}

#[test]
fn step_integrals_and_slopes_match_their_series() {
    for x in [0.0, 1e-9, 1e-3, 0.1, 0.499_999, 0.500_001, 1.0, 4.0] {
        let mut term = 1.0;
        let mut sums = [0.0; 4];
        for n in 0..200_u32 {
            // term = (−x)ⁿ/n!
            let n = f64::from(n);
            sums[0] += term / (n + 1.0);
            sums[1] += term / ((n + 1.0) * (n + 2.0));
            sums[2] -= term / (n + 2.0);
            sums[3] -= term / ((n + 2.0) * (n + 3.0));
            term *= -x / (n + 1.0);
        }
        let own = StepIntegrals::new(x);
        let found = [own.constant, own.ramp, own.constant_slope, own.ramp_slope];
        for (found, expected) in found.into_iter().zip(sums) {
            assert!((found / expected - 1.0).abs() < 2e-14, "{x} {found} {expected}");
        }
    }
}

#[test]
fn a_ramp_of_plasma_gives_the_closed_form() {
    let curve = PlasmaCurve::new(vec![5.0, 300.0], vec![0.0, 0.3 * 295.0]).unwrap();
    let frames = vec![0.0, 4.0, 7.0, 9.5, 40.0, 41.0, 120.0];
    let dynamic = Dynamic::new(frames.clone(), 0.004, 0.26).unwrap();
    let protocol = Protocol::Dynamic(dynamic.with_plasma_curve(curve).unwrap());
    let model = (find("extended_tofts").unwrap().build)(&protocol).unwrap();
    let (ktrans, ve, vp) = (0.01, 0.2, 0.1);
    let k = ktrans / ve;
    let mut signal = vec![f64::NAN; 7];
    model.signal(&[ktrans, ve, vp], &[], &mut signal);
    for (frame, found) in frames.iter().zip(signal) {
        let t = (frame - 5.0_f64).max(0.0);
        let closed = vp * 0.3 * t + ktrans * 0.3 * (t / k + (-k * t).exp_m1() / (k * k));
        assert!((found - closed).abs() < 1e-13 * (1.0 + closed), "{found} {closed}");
    }
}

#[test]
fn starts_are_near_the_truth_and_inside_the_bounds() {
    for (n, model) in models() {
        for tissue in &TISSUES[..4] {
            let mut signal = vec![0.0; 50];
            model.signal(&tissue[..n], &[], &mut signal);
            let mut start = vec![f64::NAN; n];
            model.initial(&signal, &[], &mut start);
            assert!((start[0] / tissue[0]).ln().abs() < 0.5, "{start:?} {tissue:?}");
        }
        for hostile in [0.0, -1.0, 1e300, 1e-300] {
            let mut start = vec![f64::NAN; n];
            model.initial(&[hostile; 50], &[], &mut start);
            for (parameter, value) in model.parameters().iter().zip(start) {
                assert!(parameter.bounds[0] <= value && value <= parameter.bounds[1]);
            }
        }
    }
}

#[test]
fn a_protocol_without_plasma_or_agent_is_refused() {
    let bare = Dynamic::new(frames(), 0.004, 0.26).unwrap();
    let error = PlasmaConvolution::new(&bare).unwrap_err();
    assert_eq!(error.field(), Some("plasma_curve"));
    let late = PlasmaCurve::new(vec![500.0, 501.0], vec![0.0, 1.0]).unwrap();
    let dynamic = bare.with_plasma_curve(late).unwrap();
    assert!(PlasmaConvolution::new(&dynamic).is_err());
    let protocol = Protocol::Dynamic(dynamic);
    assert!((find("t2").unwrap().build)(&protocol).is_err());
}
