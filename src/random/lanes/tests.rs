use fearless_simd::Simd;
use statrs::function::erf::erfc;

use super::*;
use crate::random::philox4x32;

fn levels() -> Vec<Level> {
    let best = Level::new();
    let mut levels = vec![best];
    #[cfg(target_arch = "x86_64")]
    levels.extend(best.as_avx2().map(Level::Avx2));
    levels
}

fn stream(key: [u32; 2], voxel: [u32; 2], level: Level) -> LaneStream {
    LaneStream { voxel, ..StreamKey(key).lanes(0, level) }
}

/// `words[word][lane]`.
fn words(stream: &LaneStream, block: u32, first: u32) -> [[u32; 16]; 4] {
    #[inline(always)]
    fn arrays<S: Simd>(simd: S, stream: &LaneStream, block: u32, first: u32) -> [[u32; 16]; 4] {
        let [a, b, c, d] = stream.words(simd, block, first);
        [a.to_array(), b.to_array(), c.to_array(), d.to_array()]
    }
    dispatch!(stream.level, simd => arrays(simd, stream, block, first))
}

fn normals(stream: &LaneStream, n_samples: usize, n_lanes: usize) -> Vec<f64> {
    let mut out = vec![0.0; n_samples * n_lanes];
    stream.gaussian(0, &vec![Spread { centre: 0.0, sigma: 1.0 }; n_samples], &mut out);
    out
}

/// Upper tail of the standard normal.
fn tail(x: f64) -> f64 {
    0.5 * erfc(x / std::f64::consts::SQRT_2)
}

/// Known answers of Random123 1.14.0 (`kat_vectors`, philox4x32 10), in the lane of their replicate.
#[test]
fn lanes_give_the_published_known_answers() {
    let ones = u32::MAX;
    for (counter, key, expected) in [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([ones; 4], [ones; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ] {
        for level in levels() {
            for lane in [0, 1, 6, 15] {
                let first = counter[1].wrapping_sub(lane);
                let stream = stream(key, [counter[2], counter[3]], level);
                let found = words(&stream, counter[0], first).map(|word| word[lane as usize]);
                assert_eq!(found, expected, "{level:?} lane {lane}");
            }
        }
    }
}

#[test]
fn every_lane_is_the_scalar_generator() {
    for level in levels() {
        for (block, first) in [(0, 0), (3, 77), (u32::MAX, u32::MAX - 5)] {
            let key = [0x1234_5678, 0x9ABC_DEF0];
            let found = words(&stream(key, [5, LANES_TAG], level), block, first);
            for lane in 0..16 {
                let counter = [block, first.wrapping_add(lane as u32), 5, LANES_TAG];
                assert_eq!(found.map(|word| word[lane]), philox4x32(counter, key));
            }
        }
    }
}

/// Box–Muller in 64-bit from the same bits.
fn reference(words: [u32; 2]) -> [f64; 2] {
    let uniform = (f64::from(words[0] >> 1) + 0.5) / 2_147_483_648.0;
    let radius = (-2.0 * uniform.ln()).sqrt();
    let fraction = f64::from((words[1] << 2) as i32) / 2_147_483_648.0;
    let (sine, cosine) = (std::f64::consts::FRAC_PI_4 * fraction).sin_cos();
    let cosine = if words[1] >> 31 == 1 { -cosine } else { cosine };
    let [x, y] = if words[1] & 0x4000_0000 == 0 { [cosine, sine] } else { [sine, cosine] };
    [radius * x, radius * y]
}

#[test]
fn normals_are_box_muller_of_their_words() {
    let key = [1, 2];
    let stream = stream(key, [9, LANES_TAG], Level::new());
    let n_lanes = 200_000;
    let found = normals(&stream, 4, n_lanes);
    let mut largest = 0.0_f64;
    for lane in 0..n_lanes {
        let [a, b, c, d] = philox4x32([0, lane as u32, 9, LANES_TAG], key);
        let expected = [reference([a, b]), reference([c, d])].concat();
        for (row, expected) in expected.iter().enumerate() {
            largest = largest.max((found[row * n_lanes + lane] - expected).abs());
        }
    }
    // 2⁻²⁴ of u near 1 is most of it: 1.2e-7 of a squared radius, of which the root is taken.
    assert!(largest < 4e-4, "{largest}");
    let relative = |x: f64, y: f64| (x - y).abs() / (1.0 + y.abs());
    let mut typical: Vec<f64> = (0..n_lanes)
        .map(|lane| {
            let [a, b, ..] = philox4x32([0, lane as u32, 9, LANES_TAG], key);
            relative(found[lane], reference([a, b])[0])
        })
        .collect();
    typical.sort_unstable_by(f64::total_cmp);
    assert!(typical[n_lanes * 99 / 100] < 1e-6, "{}", typical[n_lanes * 99 / 100]);
}

/// Every 997th word, against 64-bit functions of the same single-precision uniform.
#[test]
fn radius_and_angle_have_the_stated_error() {
    #[inline(always)]
    fn both<S: Simd>(simd: S, word: [u32; 16]) -> [[f32; 16]; 4] {
        let word = u32x16::simd_from(simd, word);
        let [cosine, sine] = circle(simd, word);
        [
            squared_radius(simd, word).to_array(),
            cosine.to_array(),
            sine.to_array(),
            projection(simd, word).to_array(),
        ]
    }
    let mut error = [0.0_f64; 4];
    for start in (0..=u32::MAX - 16 * 997).step_by(16 * 997) {
        let mut word = [0; 16];
        (0..16).for_each(|lane| word[lane as usize] = start + 997 * lane);
        let found = dispatch!(Level::new(), simd => both(simd, word));
        for lane in 0..16 {
            let uniform = ((word[lane] >> 1) as f32).mul_add(2.0_f32.powi(-31), 2.0_f32.powi(-32));
            let square = -2.0 * f64::from(uniform).ln();
            let fraction = f64::from((word[lane] << 2) as i32) / 2_147_483_648.0;
            let [x, y] = {
                let (sine, cosine) = (std::f64::consts::FRAC_PI_4 * fraction).sin_cos();
                let cosine = if word[lane] >> 31 == 1 { -cosine } else { cosine };
                if word[lane] & 0x4000_0000 == 0 { [cosine, sine] } else { [sine, cosine] }
            };
            let turn = f64::from(word[lane] as i32) / 2_147_483_648.0;
            let expected = [square, x, y, (std::f64::consts::FRAC_PI_2 * turn).sin()];
            for (k, expected) in expected.into_iter().enumerate() {
                let difference = (f64::from(found[k][lane]) - expected).abs();
                let relative =
                    if expected.abs() > 1e-12 { difference / expected.abs() } else { 0.0 };
                error[k] = error[k].max(relative);
            }
        }
    }
    // Measured: 1.63e-7, 1.89e-7, 1.90e-7 and 1.70e-7, three units of 2⁻²⁴.
    assert!(error.iter().all(|error| *error < 2e-7), "{error:?}");
}

#[test]
fn draws_are_the_same_for_every_level_and_every_cut_into_blocks() {
    let key = StreamKey::new(4, "levels");
    for n_rows in [1, 2, 3, 4, 5, 60] {
        let rows: Vec<Spread> =
            (0..n_rows).map(|k| Spread { centre: 10.0 - k as f64, sigma: 0.5 }).collect();
        let n_lanes = 203;
        let mut whole = vec![0.0; n_rows * n_lanes];
        key.lanes(7, Level::new()).gaussian(0, &rows, &mut whole);
        for level in levels() {
            let (mut first, mut parts) = (0, vec![0.0; n_rows * n_lanes]);
            for n in [1, 16, 37, 128, 21] {
                let mut part = vec![0.0; n_rows * n];
                key.lanes(7, level).gaussian(first as u32, &rows, &mut part);
                for (row, part) in part.chunks_exact(n).enumerate() {
                    let start = row * n_lanes + first;
                    parts[start..start + n].copy_from_slice(part);
                }
                first += n;
            }
            assert!(
                first == n_lanes
                    && parts.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits())
            );
        }
    }
}

#[test]
fn lanes_depend_on_every_part_of_their_name_and_not_on_scalar_streams() {
    let first = |seed, subject, voxel| {
        words(&StreamKey::new(seed, subject).lanes(voxel, Level::new()), 0, 0)[0][0]
    };
    let reference = first(1, "sub-01", 5);
    assert_eq!(reference, first(1, "sub-01", 5));
    assert_ne!(reference, first(2, "sub-01", 5));
    assert_ne!(reference, first(1, "sub-02", 5));
    assert_ne!(reference, first(1, "sub-01", 6));
    assert_ne!(reference, first(1, "sub-01", 5 + (1 << 32)));
    assert_ne!(reference, StreamKey::new(1, "sub-01").stream(5, 0).next_u32());
}

#[test]
fn nothing_and_nan_are_drawn_as_such() {
    let stream = StreamKey::new(1, "edges").lanes(0, Level::new());
    stream.gaussian(0, &[], &mut []);
    stream.gaussian(0, &[Spread { centre: 1.0, sigma: 1.0 }; 3], &mut []);
    let mut out = [5.0; 4];
    stream.gaussian(0, &[], &mut out);
    assert!(out.iter().all(|x| (x - 5.0).abs() < f64::EPSILON));
    let rows = [Spread { centre: f64::NAN, sigma: 1.0 }, Spread { centre: 2.0, sigma: 0.0 }];
    stream.gaussian(0, &rows, &mut out);
    assert!(
        out[..2].iter().all(|x| x.is_nan()) && out[2..].iter().all(|x| (x - 2.0).abs() < 1e-15)
    );
}

/// Ten million draws: 1000 voxels × 2500 replicates × 4 samples.
fn many() -> Vec<f64> {
    let key = StreamKey::new(20, "distribution");
    let mut all = Vec::with_capacity(10_000_000);
    for voxel in 0..1000 {
        all.extend(normals(&key.lanes(voxel, Level::new()), 4, 2500));
    }
    all
}

#[test]
fn ten_million_normals_have_the_moments_tails_and_distribution_of_the_standard_normal() {
    let mut draws = many();
    let n = draws.len() as f64;
    let mut sums = [0.0; 6];
    for x in &draws {
        let mut power = 1.0;
        for sum in &mut sums {
            power *= x;
            *sum += power;
        }
    }
    // Moments and their standard errors times √n, √(E[x^2k] − E[x^k]²).
    let expected = [0.0, 1.0, 0.0, 3.0, 0.0, 15.0];
    let spread = [1.0, 2.0, 15.0, 96.0, 945.0, 10_170.0].map(f64::sqrt);
    for power in 0..6 {
        let z = (sums[power] / n - expected[power]) / spread[power] * n.sqrt();
        assert!(z.abs() < 4.0, "moment {}: {z} standard errors", power + 1);
    }
    for limit in [1.0, 2.0, 3.0, 4.0, 4.5] {
        for sign in [-1.0, 1.0] {
            let found = draws.iter().filter(|x| sign * **x > limit).count() as f64;
            let z = (found - n * tail(limit)) / (n * tail(limit)).sqrt();
            assert!(z.abs() < 4.0, "tail {sign}·{limit}: {z} standard errors");
        }
    }
    draws.sort_unstable_by(f64::total_cmp);
    let distance = draws.iter().enumerate().fold(0.0_f64, |largest, (rank, x)| {
        let below = tail(-x);
        largest.max((below - rank as f64 / n).abs()).max((below - (rank + 1) as f64 / n).abs())
    });
    // Kolmogorov: √n·D is beyond 1.95 once in a thousand.
    assert!(distance * n.sqrt() < 1.95, "{}", distance * n.sqrt());
}

#[test]
fn a_hundred_million_normals_reach_beyond_five_as_often_as_they_should() {
    let key = StreamKey::new(21, "tails");
    let rows = [Spread { centre: 0.0, sigma: 1.0 }; 4];
    let mut draws = vec![0.0; 4 * 1000];
    let limits = [5.0, 5.5];
    let mut beyond = [0_u32; 2];
    let n_voxels = 25_000;
    for voxel in 0..n_voxels {
        key.lanes(voxel, Level::new()).gaussian(0, &rows, &mut draws);
        for (count, limit) in beyond.iter_mut().zip(limits) {
            *count += draws.iter().map(|x| u32::from(x.abs() > limit)).sum::<u32>();
        }
    }
    for (count, limit) in beyond.into_iter().zip(limits) {
        let expected = n_voxels as f64 * 4000.0 * 2.0 * tail(limit);
        let z = (f64::from(count) - expected) / expected.sqrt();
        assert!(z.abs() < 4.0, "beyond {limit}: {count} of {expected} expected");
    }
}

/// Correlation of pairs of draws and of their squares, in standard errors.
fn correlations(pairs: impl Iterator<Item = (f64, f64)>) -> [f64; 4] {
    let (mut sums, mut n) = ([0.0; 4], 0.0);
    for (x, y) in pairs {
        let (u, v) = (x * x - 1.0, y * y - 1.0);
        sums[0] += x * y;
        sums[1] += u * v;
        sums[2] += x * v;
        sums[3] += u * y;
        n += 1.0;
    }
    // SD of the products: 1, 2, √2, √2.
    let root = f64::sqrt(n);
    [sums[0] / root, sums[1] / (2.0 * root), sums[2] / (2.0 * n).sqrt(), sums[3] / (2.0 * n).sqrt()]
}

#[test]
fn draws_of_neighbours_are_independent() {
    let (n_voxels, n_lanes, n_samples) = (300, 2000, 6);
    let key = StreamKey::new(22, "neighbours");
    let draws: Vec<Vec<f64>> = (0..n_voxels)
        .map(|voxel| normals(&key.lanes(voxel, Level::new()), n_samples, n_lanes))
        .collect();
    let steps = |sample: usize, lane: usize, voxel: usize| {
        let step = sample * n_lanes + lane;
        draws
            .iter()
            .zip(draws.iter().skip(voxel))
            .flat_map(move |(a, b)| a.iter().zip(b.iter().skip(step)).map(|(x, y)| (*x, *y)))
    };
    // The two halves of a Box–Muller pair, two pairs, two blocks, replicates, voxels.
    for (sample, lane, voxel) in
        [(1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 0), (0, 1, 0), (0, 2, 0), (0, 16, 0), (0, 0, 1)]
    {
        let z = correlations(steps(sample, lane, voxel));
        assert!(z.iter().all(|z| z.abs() < 4.0), "{sample} {lane} {voxel}: {z:?}");
    }
    // Angles of pairs are uniform: χ² of 64 sectors, 63 degrees of freedom.
    let mut sectors = [0.0; 64];
    for block in &draws {
        for (x, y) in block[..n_lanes].iter().zip(&block[n_lanes..2 * n_lanes]) {
            let turn = y.atan2(*x) / std::f64::consts::TAU + 0.5;
            sectors[((turn * 64.0) as usize).min(63)] += 1.0;
        }
    }
    let expected = (n_voxels * n_lanes) as f64 / 64.0;
    let chi_square: f64 = sectors.iter().map(|n| (n - expected).powi(2) / expected).sum();
    assert!((chi_square - 63.0).abs() < 4.0 * 126.0_f64.sqrt(), "{chi_square}");
}
