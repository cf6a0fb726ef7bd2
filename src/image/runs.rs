//! Neighbouring voxels of a list, and how their stored values become signals.

#![allow(
    clippy::inline_always,
    reason = "kernels become part of the function that carries the instruction set"
)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f32x16, f64x8};

use super::series::Scaling;

/// Voxels whose indices follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    voxel: usize,
    lane: usize,
    len: usize,
}

/// A list of voxels cut where an index is skipped, made once and used for every volume.
#[derive(Debug, Clone)]
pub struct Runs {
    parts: Vec<Run>,
    n_lanes: usize,
    level: Level,
}

impl Default for Runs {
    fn default() -> Self {
        Self { parts: Vec::new(), n_lanes: 0, level: Level::new() }
    }
}

impl Runs {
    /// Takes up the list `voxels` (linear indices, rising) in place of the last one.
    pub fn set(&mut self, voxels: &[usize]) {
        self.parts.clear();
        let mut lane = 0;
        for run in voxels.chunk_by(|a, b| a + 1 == *b) {
            self.parts.push(Run { voxel: run[0], lane, len: run.len() });
            lane += run.len();
        }
        self.n_lanes = lane;
    }

    /// Number of voxels.
    pub fn n_lanes(&self) -> usize {
        self.n_lanes
    }

    /// The first voxel where all follow each other.
    pub fn whole(&self) -> Option<usize> {
        match self.parts.as_slice() {
            [run] => Some(run.voxel),
            _ => None,
        }
    }

    /// Copies the values of the voxels in one volume into `lanes`, shape `[n_lanes]`.
    pub fn copy(&self, volume: &[f32], lanes: &mut [f32]) {
        for run in &self.parts {
            let own = &volume[run.voxel..run.voxel + run.len];
            lanes[run.lane..run.lane + run.len].copy_from_slice(own);
        }
    }

    /// Writes the signals of the voxels into `lanes`, shape `[n_lanes]`, from the stored values of
    /// one volume.
    pub(super) fn single(&self, stored: &[f32], scaling: Scaling, lanes: &mut [f64]) {
        dispatch!(self.level, simd => self.decode(simd, stored, scaling, lanes));
    }

    /// As [`Runs::single`] from 64-bit values.
    pub(super) fn double(&self, stored: &[f64], scaling: Scaling, lanes: &mut [f64]) {
        for run in &self.parts {
            let stored = &stored[run.voxel..run.voxel + run.len];
            for (lane, &value) in lanes[run.lane..run.lane + run.len].iter_mut().zip(stored) {
                *lane = scaling.apply(value);
            }
        }
    }

    /// Few instructions per run, so that the processor fetches several runs at once: each begins with
    /// a wait for memory.
    #[inline(always)]
    fn decode<S: Simd>(&self, simd: S, stored: &[f32], scaling: Scaling, lanes: &mut [f64]) {
        for run in &self.parts {
            let stored = &stored[run.voxel..run.voxel + run.len];
            let lanes = &mut lanes[run.lane..run.lane + run.len];
            let Some(last) = run.len.checked_sub(16) else {
                for (lane, &value) in lanes.iter_mut().zip(stored) {
                    *lane = scaling.apply(f64::from(value));
                }
                continue;
            };
            // The last vector lies over the one before it.
            for at in (0..last).step_by(16).chain([last]) {
                let values = f32x16::from_slice(simd, &stored[at..at + 16]);
                let (low, high) = values.widen();
                let signal = |value: f64x8<S>| value * scaling.slope + scaling.intercept;
                signal(low).store_slice(&mut lanes[at..at + 8]);
                signal(high).store_slice(&mut lanes[at + 8..at + 16]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_the_signal_of_its_voxel() {
        let stored: Vec<f32> = (0..400_u16).map(|i| f32::from(i) * 0.37).collect();
        let wide: Vec<f64> = stored.iter().map(|&value| f64::from(value)).collect();
        let scaling = Scaling { slope: 0.3, intercept: -1.7 };
        let mut runs = Runs::default();
        for lengths in [vec![1, 3, 16, 17, 31], vec![15], vec![32, 64, 100], vec![]] {
            let mut voxels = Vec::new();
            let mut next = 2;
            for len in lengths {
                voxels.extend(next..next + len);
                next += len + 3;
            }
            runs.set(&voxels);
            assert_eq!(runs.n_lanes(), voxels.len());
            let mut lanes = [vec![f64::NAN; voxels.len()], vec![f64::NAN; voxels.len()]];
            runs.single(&stored, scaling, &mut lanes[0]);
            runs.double(&wide, scaling, &mut lanes[1]);
            for (lane, &voxel) in voxels.iter().enumerate() {
                let signal = scaling.apply(wide[voxel]).to_bits();
                assert_eq!(lanes.each_ref().map(|row| row[lane].to_bits()), [signal; 2]);
            }
        }
    }
}
