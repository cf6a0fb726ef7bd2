//! Draws of many replicates of one voxel at once, one replicate per lane.
//!
//! The counter of Philox is (four samples, replicate, voxel), so that a draw depends on (seed,
//! subject, voxel, replicate, sample) alone: not on how replicates are cut into blocks, not on the
//! thread, and not on the instruction set where it has fused multiply-add. The top bit of the
//! counter keeps these draws apart from those of a [`Stream`](super::Stream).
//!
//! Normals come from Box–Muller in single precision: 31 bits choose the radius, 32 the angle, so
//! that they end at ±6.66 (a standard normal goes beyond 5 once in 1.7 million draws, beyond 6.66
//! once in 3.6e10). The squared radius and the point on the circle are right to 2e-7, relative (three
//! units in the last place), for the uniform as single precision holds it.
//!
//! # Reference
//!
//! Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
//! doi:10.1145/2063384.2063405; Box and Muller, "A note on the generation of random normal
//! deviates", Annals of Mathematical Statistics 1958, doi:10.1214/aoms/1177706645.

#![allow(
    clippy::inline_always,
    reason = "vector code works only inside the function that has its instructions"
)]

use std::f32::consts::{FRAC_PI_4, LN_2};

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f32x16, f64x8, i32x16, u32x16, u64x8};

use super::{MULTIPLIERS, ROUNDS, StreamKey, WEYL};

/// Keeps the counters of lanes and of scalar streams apart: no image has 2⁶³ voxels.
const LANES_TAG: u32 = 0x8000_0000;

/// Replicates that one step draws.
pub(crate) const WIDTH: usize = 16;

/// Bits of the single nearest to √½.
const SQRT_HALF_BITS: i32 = 0x3F35_04F3;

/// Minimax polynomial of −2 ln(1 + f) / f for 1 + f between √½ and √2, error 5.3e-8; highest power
/// first.
const MINUS_TWO_LN: [f32; 9] = [
    -0.179_198_37,
    0.289_643_76,
    -0.298_347_53,
    0.330_874_74,
    -0.399_168_34,
    0.500_058_95,
    -0.666_683_2,
    0.999_999_6,
    -2.0,
];

/// Minimax polynomial in z = x² of sin(πx/2) / x for |x| ≤ 1, error 6.7e-9; highest power first.
const HALF_TURN: [f32; 5] =
    [0.000_151_678_53, -0.004_674_157_6, 0.079_689_93, -0.645_963_8, 1.570_796_4];

/// (sin x − x) / x³ for |x| ≤ π/4, from the Cephes library; highest power of x² first.
const SINE: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];

/// (cos x − 1 + x²/2) / x⁴ for |x| ≤ π/4, from the Cephes library; highest power of x² first.
const COSINE: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];

/// What is drawn in one row: normal noise of `sigma` around `centre`, both in signal units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Centre of the draws.
    pub centre: f64,
    /// Standard deviation of the noise.
    pub sigma: f64,
}

/// Names all draws of one voxel; see [`StreamKey::lanes`].
#[derive(Debug, Clone, Copy)]
pub struct LaneStream {
    keys: [[u32; 2]; ROUNDS],
    voxel: [u32; 2],
    level: Level,
}

impl StreamKey {
    /// The draws of one `voxel` (linear index in its grid), with the instructions of `level`.
    pub fn lanes(self, voxel: usize, level: Level) -> LaneStream {
        let mut keys = [self.0; ROUNDS];
        for round in 1..ROUNDS {
            let before = keys[round - 1];
            keys[round] = [before[0].wrapping_add(WEYL[0]), before[1].wrapping_add(WEYL[1])];
        }
        let voxel = voxel as u64;
        let low = (voxel & 0xFFFF_FFFF) as u32;
        let high = (voxel >> 32) as u32;
        LaneStream { keys, voxel: [low, high | LANES_TAG], level }
    }
}

impl LaneStream {
    /// Instructions that draw.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Normal draws, shape `[rows.len(), n_replicates]` like `out`: row k is `rows[k].centre` plus
    /// `rows[k].sigma` times a standard normal, of the replicates from `first_replicate` on.
    ///
    /// NaN in a row gives a row of NaN. Nothing is drawn for no rows; what is beyond the last whole
    /// row of `out` is left as it is.
    pub fn gaussian(&self, first_replicate: u32, rows: &[Spread], out: &mut [f64]) {
        if !rows.is_empty() && out.len() >= rows.len() {
            dispatch!(self.level, simd => gaussian(simd, self, first_replicate, rows, out));
        }
    }

    /// Four words of the `block` of 16 replicates from `first` on, in lanes.
    #[inline(always)]
    pub(crate) fn words<S: Simd>(&self, simd: S, block: u32, first: u32) -> [u32x16<S>; 4] {
        let low_half = u64x8::splat(simd, 0xFFFF_FFFF);
        let steps = u64x8::simd_from(simd, [0_u64, 2, 4, 6, 8, 10, 12, 14]);
        let even = (u64x8::splat(simd, u64::from(first)) + steps) & low_half;
        let odd = (even + u64x8::splat(simd, 1)) & low_half;
        let block = u64x8::splat(simd, u64::from(block));
        let low = u64x8::splat(simd, u64::from(self.voxel[0]));
        let high = u64x8::splat(simd, u64::from(self.voxel[1]));
        let [even, odd] =
            philox(simd, [[block, even, low, high], [block, odd, low, high]], &self.keys);
        [
            (even[0] | (odd[0] << 32)).bitcast(),
            (even[1] | (odd[1] << 32)).bitcast(),
            (even[2] | (odd[2] << 32)).bitcast(),
            (even[3] | (odd[3] << 32)).bitcast(),
        ]
    }
}

type Counters<S> = [u64x8<S>; 4];

/// Ten rounds on 16 counters, each word in the low half of its lane. Written out: a loop keeps its
/// rounds apart and costs a third more.
#[inline(always)]
fn philox<S: Simd>(
    simd: S,
    counters: [Counters<S>; 2],
    keys: &[[u32; 2]; ROUNDS],
) -> [Counters<S>; 2] {
    let mut c = counters;
    c = round(simd, c, keys[0]);
    c = round(simd, c, keys[1]);
    c = round(simd, c, keys[2]);
    c = round(simd, c, keys[3]);
    c = round(simd, c, keys[4]);
    c = round(simd, c, keys[5]);
    c = round(simd, c, keys[6]);
    c = round(simd, c, keys[7]);
    c = round(simd, c, keys[8]);
    round(simd, c, keys[9])
}

#[inline(always)]
fn round<S: Simd>(simd: S, [even, odd]: [Counters<S>; 2], key: [u32; 2]) -> [Counters<S>; 2] {
    [half_round(simd, even, key), half_round(simd, odd, key)]
}

#[inline(always)]
fn half_round<S: Simd>(simd: S, c: Counters<S>, key: [u32; 2]) -> Counters<S> {
    let low_half = u64x8::splat(simd, 0xFFFF_FFFF);
    let first = u64x8::splat(simd, u64::from(MULTIPLIERS[0]));
    let second = u64x8::splat(simd, u64::from(MULTIPLIERS[1]));
    let product0 = (c[0] & low_half) * first;
    let product1 = (c[2] & low_half) * second;
    let key0 = u64x8::splat(simd, u64::from(key[0]));
    let key1 = u64x8::splat(simd, u64::from(key[1]));
    [
        (product1 >> 32) ^ c[1] ^ key0,
        product1 & low_half,
        (product0 >> 32) ^ c[3] ^ key1,
        product0 & low_half,
    ]
}

/// −2 ln u: the squared radius of two independent standard normals.
#[inline(always)]
pub(crate) fn squared_radius<S: Simd>(simd: S, word: u32x16<S>) -> f32x16<S> {
    let half: i32x16<S> = (word >> 1).bitcast();
    let step = f32x16::splat(simd, 1.0 / 2_147_483_648.0);
    let uniform = half.to_float::<f32x16<S>>().mul_add(step, step * 0.5);
    let offset = uniform.bitcast::<i32x16<S>>() - i32x16::splat(simd, SQRT_HALF_BITS);
    let exponent = (offset >> 23).to_float::<f32x16<S>>();
    let mantissa = (offset & i32x16::splat(simd, 0x007F_FFFF)) + SQRT_HALF_BITS;
    let excess = mantissa.bitcast::<f32x16<S>>() - 1.0;
    let series = polynomial(simd, excess, &MINUS_TWO_LN);
    exponent.mul_add(f32x16::splat(simd, -2.0 * LN_2), excess * series)
}

/// A point on the unit circle at a uniform angle.
#[inline(always)]
fn circle<S: Simd>(simd: S, word: u32x16<S>) -> [f32x16<S>; 2] {
    let fraction: i32x16<S> = (word << 2).bitcast();
    let angle = fraction.to_float::<f32x16<S>>() * (FRAC_PI_4 / 2_147_483_648.0);
    let z = angle * angle;
    let sine = (polynomial(simd, z, &SINE) * z).mul_add(angle, angle);
    let even = polynomial(simd, z, &COSINE).mul_add(z, f32x16::splat(simd, -0.5));
    let cosine = even.mul_add(z, f32x16::splat(simd, 1.0));
    // The last quarter turns are mirrored and exchanged: the angle is symmetric already.
    let sign = word & 0x8000_0000;
    let cosine: f32x16<S> = (cosine.bitcast::<u32x16<S>>() ^ sign).bitcast();
    let keep = (word & 0x4000_0000).simd_eq(u32x16::splat(simd, 0));
    [keep.select(cosine, sine), keep.select(sine, cosine)]
}

/// Cosine of a uniform angle.
#[inline(always)]
pub(crate) fn projection<S: Simd>(simd: S, word: u32x16<S>) -> f32x16<S> {
    let half_turns = word.bitcast::<i32x16<S>>().to_float::<f32x16<S>>() * (1.0 / 2_147_483_648.0);
    polynomial(simd, half_turns * half_turns, &HALF_TURN) * half_turns
}

#[inline(always)]
fn polynomial<S: Simd, const N: usize>(
    simd: S,
    x: f32x16<S>,
    coefficients: &[f32; N],
) -> f32x16<S> {
    let mut sum = f32x16::splat(simd, coefficients[0]);
    let mut power = 1;
    while power < N {
        sum = sum.mul_add(x, f32x16::splat(simd, coefficients[power]));
        power += 1;
    }
    sum
}

/// Two independent standard normals.
#[inline(always)]
pub(crate) fn pair<S: Simd>(simd: S, radius: u32x16<S>, angle: u32x16<S>) -> [f32x16<S>; 2] {
    let radius = squared_radius(simd, radius).sqrt();
    let [cosine, sine] = circle(simd, angle);
    [radius * cosine, radius * sine]
}

#[inline(always)]
fn gaussian<S: Simd>(
    simd: S,
    stream: &LaneStream,
    first_replicate: u32,
    rows: &[Spread],
    out: &mut [f64],
) {
    let n_lanes = out.len() / rows.len();
    let blocks = rows.chunks(4).zip(out.chunks_mut(4 * n_lanes));
    for (block, (rows, out)) in blocks.enumerate() {
        let mut lane = 0;
        while lane < n_lanes {
            let first = first_replicate.wrapping_add(lane as u32);
            let words = stream.words(simd, block as u32, first);
            let [a, b] = pair(simd, words[0], words[1]);
            let [c, d] = pair(simd, words[2], words[3]);
            let normals = [a, b, c, d];
            let n = (n_lanes - lane).min(WIDTH);
            let mut row = 0;
            while row < rows.len() {
                let (low, high) = normals[row].widen();
                let centre = f64x8::splat(simd, rows[row].centre);
                let sigma = f64x8::splat(simd, rows[row].sigma);
                let start = row * n_lanes + lane;
                let place = &mut out[start..start + n];
                store(low.mul_add(sigma, centre), high.mul_add(sigma, centre), place);
                row += 1;
            }
            lane += WIDTH;
        }
    }
}

/// Writes the first `place.len()` of 16 lanes.
#[inline(always)]
pub(crate) fn store<S: Simd>(low: f64x8<S>, high: f64x8<S>, place: &mut [f64]) {
    if place.len() == WIDTH {
        low.store_slice(&mut place[..8]);
        high.store_slice(&mut place[8..]);
    } else {
        let mut both = [0.0; WIDTH];
        low.store_slice(&mut both[..8]);
        high.store_slice(&mut both[8..]);
        place.copy_from_slice(&both[..place.len()]);
    }
}

#[cfg(test)]
mod tests;
