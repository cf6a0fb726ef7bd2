use super::*;
use crate::acquisition::{Diffusion, MultiEcho, Protocol, VariableFlipAngle};
use crate::fit::{FitSettings, estimator};
use crate::model::find;
use crate::random::StreamKey;

/// One estimator per default separable model.
fn estimators() -> Vec<Box<dyn Estimator>> {
    let echoes = MultiEcho::new((1..=6).map(|k| 0.01 * f64::from(k)).collect()).unwrap();
    let diffusion = Diffusion::new(vec![0.0, 200.0, 500.0, 1000.0]).unwrap();
    let flips = VariableFlipAngle::new(vec![0.05, 0.1, 0.2, 0.35], 0.005).unwrap();
    [
        ("t2", Protocol::MultiEcho(echoes)),
        ("adc", Protocol::Diffusion(diffusion)),
        ("t1_vfa", Protocol::VariableFlipAngle(flips)),
    ]
    .map(|(name, protocol)| {
        estimator(find(name).unwrap(), &protocol, &FitSettings::default()).unwrap()
    })
    .into()
}

/// What scanners, converters and masks do to a voxel.
fn hostile(n: usize, lane: usize) -> Vec<f64> {
    let mut stream = StreamKey::new(5, "hostile").stream(lane, 0);
    let decay: Vec<f64> = (0..n).map(|k| 800.0 * (-0.3 * k as f64).exp()).collect();
    let with = |value: f64| {
        let mut samples = decay.clone();
        samples[lane % n] = value;
        samples
    };
    match lane % 19 {
        0 => with(f64::NAN),
        1 => with(f64::INFINITY),
        2 => with(f64::NEG_INFINITY),
        3 => vec![0.0; n],
        4 => decay.iter().map(|y| -y).collect(),
        5 => vec![7.0; n],
        6 => decay.iter().map(|y| y * 1e-300).collect(),
        7 => decay.iter().map(|y| y * 1e290).collect(),
        8 => vec![5e-324; n],
        9 => (0..n).map(|k| if k == lane / 19 % n { 3.0 } else { 0.0 }).collect(),
        10 => decay.iter().rev().copied().collect(),
        11 => with(1e30),
        12 => (0..n).map(|k| if k % 2 == 0 { 1.0 } else { -1.0 }).collect(),
        13 => (0..n).map(|_| stream.normal()).collect(),
        14 => (0..n).map(|_| (stream.uniform() * 8.0).floor()).collect(),
        15 => (0..n).map(|_| stream.normal().hypot(stream.normal())).collect(),
        16 => (0..n).map(|_| -stream.uniform()).collect(),
        17 => (0..n).map(|_| 1.0 + 1e-6 * stream.normal()).collect(),
        _ => decay.iter().map(|y| (y + 40.0 * stream.normal()).round()).collect(),
    }
}

#[test]
fn blocks_end_like_single_lanes_for_hostile_samples() {
    for estimator in estimators() {
        let (n, n_lanes) = (estimator.n_samples(), 3800);
        let voxels: Vec<Vec<f64>> = (0..n_lanes).map(|lane| hostile(n, lane)).collect();
        let samples: Vec<f64> =
            (0..n * n_lanes).map(|i| voxels[i % n_lanes][i / n_lanes]).collect();
        let lanes = LaneData { samples: &samples, fixed: &[], n_lanes };
        let mut block = FitBlock::new(2, Detail::Everything);
        let mut single = FitBlock::new(2, Detail::Everything);
        estimator.estimate_block(lanes, &mut block);
        one_by_one(&*estimator, lanes, &mut single, |_| true);
        for lane in 0..n_lanes {
            assert_eq!(block.status[lane], single.status[lane], "{:?}", voxels[lane]);
            assert_eq!(block.degrees_of_freedom[lane], single.degrees_of_freedom[lane]);
            for (a, b) in block.estimates.iter().zip(&single.estimates) {
                // Where the curve is almost flat T1 follows from the last digits.
                let close = (a[lane] - b[lane]).abs() <= 1e-6 * b[lane].abs() + 1e-13;
                assert!(close || (a[lane].is_nan() && b[lane].is_nan()), "{:?}", voxels[lane]);
            }
        }
    }
}

#[test]
fn estimates_alone_are_the_same_bits() {
    for estimator in estimators() {
        let (n, n_lanes) = (estimator.n_samples(), 333);
        let samples: Vec<f64> =
            (0..n * n_lanes).map(|i| hostile(n, 18 + 19 * (i % n_lanes))[i / n_lanes]).collect();
        let lanes = LaneData { samples: &samples, fixed: &[], n_lanes };
        let mut everything = FitBlock::new(2, Detail::Everything);
        let mut estimates = FitBlock::new(2, Detail::Estimates);
        estimator.estimate_block(lanes, &mut everything);
        estimator.estimate_block(lanes, &mut estimates);
        assert_eq!(everything.status, estimates.status);
        for (a, b) in
            everything.estimates.iter().flatten().zip(estimates.estimates.iter().flatten())
        {
            assert_eq!(a.to_bits(), b.to_bits());
        }
    }
}
