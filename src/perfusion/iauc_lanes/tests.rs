use super::*;
use crate::acquisition::Dynamic;
use crate::model::{Estimator, Fit, VoxelData};
use crate::perfusion::{
    BloodReference, Compartment, Hematocrit, IaucEstimator, IaucSettings, IaucVariant,
    IntegrationWindow, MeasuredCurve, SpoiledGradientEcho, T10Source,
};
use crate::random::{Stream, StreamKey};

const T10_S: f64 = 1.2;
const BASELINE: f64 = 100.0;

fn regular(n: usize, step_s: f64) -> Vec<f64> {
    (0..n).map(|k| k as f64 * step_s).collect()
}

fn irregular(n: usize) -> Vec<f64> {
    let mut time_s = 0.0;
    (0..n)
        .map(|frame| {
            time_s += 2.0 + (frame % 7) as f64 * 0.37;
            time_s
        })
        .collect()
}

fn settings(times_s: Vec<f64>, arrival_s: f64) -> IaucSettings {
    IaucSettings {
        protocol: Dynamic::new(times_s, 0.004, 15_f64.to_radians()).unwrap(),
        relaxivity_per_s_per_mm: 4.5,
        t10: T10Source::Uniform(T10_S),
        arrival_s,
        window: IntegrationWindow::Seconds60,
        variant: IaucVariant::Concentration,
    }
}

/// Every way of measuring, on frames with the arrival on and between them.
fn cases() -> Vec<IaucSettings> {
    let blood = BloodReference {
        curve: MeasuredCurve::new(vec![0.0, 80.0], vec![2.0, 2.0], Compartment::Blood).unwrap(),
        arrival_s: 0.0,
        hematocrit: Hematocrit::DEFAULT,
    };
    let on = settings(regular(60, 3.0), 30.0);
    let after = settings(regular(60, 3.0), 31.9);
    vec![
        settings(irregular(60), 33.3),
        settings(regular(60, 5.0), 26.1),
        settings(regular(400, 0.4), 30.0),
        IaucSettings { t10: T10Source::PerVoxel, ..after.clone() },
        IaucSettings { variant: IaucVariant::BloodNormalised(blood), ..after.clone() },
        IaucSettings {
            variant: IaucVariant::RelativeEnhancement,
            t10: T10Source::Unknown,
            ..after.clone()
        },
        IaucSettings { window: IntegrationWindow::Seconds180, ..on.clone() },
        on,
        after,
    ]
}

/// A block of noisy uptake of up to 3 mM; T10 differs where the settings want a map.
struct Block {
    samples: Vec<f64>,
    fixed: Vec<f64>,
    n_lanes: usize,
}

impl Block {
    fn new(settings: &IaucSettings, n_lanes: usize, noise: f64) -> Self {
        let equation = SpoiledGradientEcho::new(&settings.protocol, 4.5).unwrap();
        let times_s = settings.protocol.frame_times_s();
        let mut samples = vec![0.0; times_s.len() * n_lanes];
        let mut fixed = Vec::new();
        for lane in 0..n_lanes {
            let mut stream = StreamKey::new(3, "lanes").stream(lane, 0);
            let t10_s = match settings.t10 {
                T10Source::PerVoxel => 0.3 + 2.0 * stream.uniform(),
                _ => T10_S,
            };
            fixed.push(t10_s);
            let voxel = equation.with_baseline(BASELINE, t10_s).unwrap();
            let (plateau, rate) = (3.0 * stream.uniform(), 0.02 + 0.2 * stream.uniform());
            for (k, time_s) in times_s.iter().enumerate() {
                let since = (time_s - settings.arrival_s).max(0.0);
                let signal = voxel.signal(-plateau * (-rate * since).exp_m1());
                samples[k * n_lanes + lane] = signal + noise * stream.normal();
            }
        }
        if settings.t10 != T10Source::PerVoxel {
            fixed.clear();
        }
        Self { samples, fixed, n_lanes }
    }

    fn data(&self) -> LaneData<'_> {
        LaneData { samples: &self.samples, fixed: &self.fixed, n_lanes: self.n_lanes }
    }

    fn voxel(&self, lane: usize) -> (Vec<f64>, Vec<f64>) {
        let column =
            |values: &[f64]| values.iter().skip(lane).step_by(self.n_lanes).copied().collect();
        (column(&self.samples), column(&self.fixed))
    }
}

fn run(estimator: &IaucEstimator, block: &Block) -> FitBlock {
    let mut fits = FitBlock::new(1, Detail::Everything);
    estimator.estimate_block(block.data(), &mut fits);
    fits
}

fn scalar(estimator: &IaucEstimator, block: &Block, lane: usize) -> Fit {
    let (samples, fixed) = block.voxel(lane);
    let mut fit = Fit::new(1);
    let mut scratch = vec![f64::NAN; estimator.scratch_len()];
    let voxel = VoxelData { samples: &samples, fixed: &fixed };
    estimator.estimate(voxel, &mut scratch, &mut fit);
    fit
}

/// Largest differences: area over (|area| + floor), variance and baseline squares relative.
fn compare(estimator: &IaucEstimator, block: &Block, floor: f64) -> [f64; 3] {
    let fits = run(estimator, block);
    let mut largest = [0.0_f64; 3];
    for lane in 0..block.n_lanes {
        let one = scalar(estimator, block, lane);
        assert_eq!(fits.status[lane], one.status, "lane {lane}");
        let pairs = [
            (fits.estimates[0][lane], one.estimates[0], floor),
            (fits.unscaled_variances[0][lane], one.unscaled_covariance[0], 0.0),
            (fits.residual_sum_of_squares[lane], one.residual_sum_of_squares, 1e-25),
        ];
        for ((found, expected, floor), largest) in pairs.into_iter().zip(&mut largest) {
            assert_eq!(found.is_finite(), expected.is_finite());
            if expected.is_finite() {
                *largest = largest.max((found - expected).abs() / (expected.abs() + floor));
            }
        }
        assert_eq!(usize::from(fits.degrees_of_freedom[lane]), one.degrees_of_freedom);
        assert_eq!(fits.evaluations[lane], one.evaluations);
    }
    largest
}

#[test]
fn lanes_agree_with_single_voxels() {
    for settings in cases() {
        let estimator = IaucEstimator::new(&settings).unwrap();
        for noise in [0.0, 1.0] {
            let block = Block::new(&settings, 203, noise);
            // Areas below 0.1 mM·s are differences of larger numbers.
            let [area, variance, squares] = compare(&estimator, &block, 0.1);
            assert!(area < 1e-11 && variance < 1e-9, "{area} {variance} {settings:?}");
            assert!(squares < 1e-10, "{squares}");
        }
    }
}

/// Signals and T10 that go wrong in every way, one to three at a time.
fn spoil(block: &mut Block, stream: &mut Stream) {
    let v0 = -(-0.004_f64 / T10_S).exp_m1();
    let limit = BASELINE * (1.0 - 15_f64.to_radians().cos() * (1.0 - v0)) / v0;
    let hostile = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        -1e-9,
        -1.0,
        limit,
        limit * (1.0 - 1e-15),
        limit * (1.0 - 1e-9),
        limit * 1.001,
        10.0 * limit,
        1e200,
        1e-200,
        f64::MAX,
    ];
    let n_frames = block.samples.len() / block.n_lanes;
    for lane in (0..block.n_lanes).filter(|lane| lane % 3 == 0) {
        for _ in 0..=lane % 4 {
            let frame = (stream.uniform() * n_frames as f64) as usize;
            let value = hostile[(stream.uniform() * hostile.len() as f64) as usize];
            block.samples[frame * block.n_lanes + lane] = value;
        }
        if lane % 5 == 0 {
            let value = [0.0, -3.0, f64::NAN, 1e-160, 1e160][lane / 5 % 5];
            for frame in 0..n_frames {
                block.samples[frame * block.n_lanes + lane] *= value;
            }
        }
        if let Some(t10_s) = block.fixed.get_mut(lane).filter(|_| lane % 7 == 0) {
            *t10_s = [0.0, -1.0, f64::NAN, 1e-4, 1e-3, 0.004, 60.0, 61.0][lane / 7 % 8];
        }
    }
}

#[test]
fn hostile_voxels_end_as_they_do_one_by_one_and_harm_no_neighbour() {
    let mut stream = StreamKey::new(4, "hostile").stream(0, 0);
    for settings in cases() {
        let estimator = IaucEstimator::new(&settings).unwrap();
        for _ in 0..10 {
            let mut block = Block::new(&settings, 219, 1.0);
            spoil(&mut block, &mut stream);
            let [area, variance, _] = compare(&estimator, &block, 0.1);
            assert!(area < 1e-9 && variance < 1e-7, "{area} {variance} {settings:?}");
        }
    }
}

#[test]
fn frames_outside_of_baseline_and_window_are_not_read() {
    let settings = settings(regular(60, 5.0), 26.1);
    let estimator = IaucEstimator::new(&settings).unwrap();
    let read: Vec<usize> = (0..60).filter(|&k| estimator.reads_sample(k)).collect();
    assert_eq!(read, (0..=18).collect::<Vec<_>>());
    let mut block = Block::new(&settings, 64, 1.0);
    let before = run(&estimator, &block);
    block.samples[19 * 64..].fill(f64::NAN);
    assert_eq!(run(&estimator, &block).estimates, before.estimates);
}

#[test]
fn a_lane_has_the_same_bits_in_any_block() {
    let settings = settings(regular(60, 3.0), 31.9);
    let estimator = IaucEstimator::new(&settings).unwrap();
    let whole = run(&estimator, &Block::new(&settings, 203, 1.0));
    let part = run(&estimator, &Block::new(&settings, 37, 1.0));
    let bits = |fits: &FitBlock| -> Vec<u64> {
        fits.estimates[0].iter().take(37).map(|area| area.to_bits()).collect()
    };
    assert_eq!(bits(&whole), bits(&part));
    let few = Block::new(&settings, 5, 1.0);
    assert!(compare(&estimator, &few, 0.1)[0] < 1e-15);
}

/// Neighbours of every kind take the other branch of the logarithm, or end as NaN or infinity.
#[test]
fn a_lane_has_the_same_bits_beside_any_neighbours() {
    for settings in cases() {
        let estimator = IaucEstimator::new(&settings).unwrap();
        let own = Block::new(&settings, 64, 1.0);
        let alone = run(&estimator, &own);
        let n_frames = own.samples.len() / 64;
        for factor in [f64::NAN, f64::INFINITY, 1e250, 1e-250, 0.0, -1.0, 8.0] {
            let mut beside = Block::new(&settings, 64, 1.0);
            for lane in (0..64).filter(|lane| lane % 8 != 3) {
                for frame in n_frames / 8 + lane % 8..n_frames {
                    beside.samples[frame * 64 + lane] *= factor;
                }
            }
            let found = run(&estimator, &beside);
            for lane in (3..64).step_by(8) {
                let bits = |fits: &FitBlock| {
                    let numbers = [fits.estimates[0][lane], fits.unscaled_variances[0][lane]];
                    (fits.status[lane], numbers.map(f64::to_bits))
                };
                assert_eq!(bits(&found), bits(&alone), "{factor} {lane} {settings:?}");
            }
        }
    }
}
