//! Replicates of one voxel from the response of its fit: drawn, answered and written in registers.

#![allow(
    clippy::inline_always,
    reason = "vector code works only inside the function that has its instructions"
)]

use fearless_simd::prelude::*;
use fearless_simd::{dispatch, f32x16};

use crate::noise::{NoiseDistribution, rician};
use crate::random::LaneStream;
use crate::random::lanes::{WIDTH, pair, projection, squared_radius, store};
use crate::solver::variable_projection::{NoiseSums, Response};

/// What is drawn of one voxel.
#[derive(Clone, Copy)]
pub(super) struct Quick<'a> {
    pub(super) stream: &'a LaneStream,
    pub(super) response: Response<'a>,
    pub(super) distribution: NoiseDistribution,
}

impl Quick<'_> {
    /// Whether it may be used at all.
    pub(super) fn is_usable(&self) -> bool {
        let is_quiet = match self.distribution {
            NoiseDistribution::Gaussian => true,
            NoiseDistribution::Rician => self.response.signal_to_noise() < rician::SINGLE_BELOW,
        };
        is_quiet && self.response.is_usable()
    }

    /// Writes headline and amplitude of the replicates from `first` on, and appends the places of
    /// those whose numbers mean nothing to `unsettled`.
    pub(super) fn estimate(
        &self,
        first: u32,
        [headlines, amplitudes]: [&mut [f64]; 2],
        unsettled: &mut Vec<usize>,
    ) {
        let columns = [headlines, amplitudes];
        dispatch!(self.stream.level(), simd => all(simd, self, first, columns, unsettled));
    }

    /// Sums over the samples of the 16 replicates from `first` on.
    #[inline(always)]
    fn gaussian<S: Simd>(&self, simd: S, first: u32) -> NoiseSums<S> {
        let mut sums = self.response.sums(simd);
        let n = self.response.n_samples();
        for block in 0..n.div_ceil(4) {
            let words = self.stream.words(simd, block as u32, first);
            let [a, b] = pair(simd, words[0], words[1]);
            self.response.add(4 * block, a, &mut sums);
            if 4 * block + 1 < n {
                self.response.add(4 * block + 1, b, &mut sums);
            }
            if 4 * block + 2 < n {
                let [c, d] = pair(simd, words[2], words[3]);
                self.response.add(4 * block + 2, c, &mut sums);
                if 4 * block + 3 < n {
                    self.response.add(4 * block + 3, d, &mut sums);
                }
            }
        }
        sums
    }

    /// The same for magnitudes.
    #[inline(always)]
    fn rician<S: Simd>(&self, simd: S, first: u32) -> NoiseSums<S> {
        let mut sums = self.response.sums(simd);
        let n = self.response.n_samples();
        for block in 0..n.div_ceil(2) {
            let words = self.stream.words(simd, block as u32, first);
            self.add_magnitude(simd, 2 * block, [words[0], words[1]], &mut sums);
            if 2 * block + 1 < n {
                self.add_magnitude(simd, 2 * block + 1, [words[2], words[3]], &mut sums);
            }
        }
        sums
    }

    #[inline(always)]
    fn add_magnitude<S: Simd>(
        &self,
        simd: S,
        sample: usize,
        [radius, angle]: [fearless_simd::u32x16<S>; 2],
        sums: &mut NoiseSums<S>,
    ) {
        let square: f32x16<S> = squared_radius(simd, radius);
        let real = square.sqrt() * projection(simd, angle);
        let noise = rician::excess_lanes(simd, self.response.ratio(sample), real, square);
        self.response.add(sample, noise, sums);
    }
}

#[inline(always)]
fn all<S: Simd>(
    simd: S,
    quick: &Quick<'_>,
    first: u32,
    [headlines, amplitudes]: [&mut [f64]; 2],
    unsettled: &mut Vec<usize>,
) {
    let lanes = headlines.chunks_mut(WIDTH).zip(amplitudes.chunks_mut(WIDTH));
    for (group, (headlines, amplitudes)) in lanes.enumerate() {
        let start = group * WIDTH;
        let replicate = first.wrapping_add(start as u32);
        let sums = match quick.distribution {
            NoiseDistribution::Gaussian => quick.gaussian(simd, replicate),
            NoiseDistribution::Rician => quick.rician(simd, replicate),
        };
        let answers = quick.response.answers(simd, &sums);
        let mut open = !answers.settled.to_bitmask() & ((1 << headlines.len()) - 1);
        store(answers.headline[0], answers.headline[1], headlines);
        store(answers.amplitude[0], answers.amplitude[1], amplitudes);
        while open != 0 {
            unsettled.push(start + open.trailing_zeros() as usize);
            open &= open - 1;
        }
    }
}

#[cfg(test)]
mod tests;
