//! Pseudo-experiments of a region that was registered to its series: noise is drawn where it was
//! measured, the transform is moved, and everything behind it is done again.

use rayon::prelude::*;

use super::VoxelWork;
use super::groups::{Evidence, Judged};
use super::method::{Answer, Look};
use super::trust::{self, Measured};
use crate::error::Result;
use crate::fit::{Fits, Voxelwise, voxelwise_into};
use crate::image::resample::corners_at;
use crate::image::{Affine, Grid, Mask, Series};
use crate::model::{Fit, VoxelData};
use crate::noise::NoiseEstimate;
use crate::pipeline::plan::TransformKind;
use crate::pipeline::registered::{Bridge, Carried, Resampled};
use crate::registration::Perturbation;

/// Streams of the noise of measured voxels begin here, beyond those of the voxels of any grid.
const MEASURED_NOISE: usize = 1 << 40;
/// The stream of the transforms.
const TRANSFORMS: usize = 1 << 41;

/// Noise of every voxel over σ where signals were interpolated; none where they are as measured.
pub(super) fn noise_scale(work: VoxelWork<'_>) -> Option<&[f64]> {
    match work.bridge {
        Some(Bridge::Resampled(resampled)) => Some(&resampled.noise_scale),
        _ => None,
    }
}

/// The work on the signals as they were measured, where those of `work` were interpolated.
pub(super) fn as_measured(work: VoxelWork<'_>) -> Option<VoxelWork<'_>> {
    let Some(Bridge::Resampled(resampled)) = work.bridge else { return None };
    let (loaded, region) = (&resampled.measured, &resampled.measured_region);
    Some(VoxelWork { loaded, region, fixed: &[], bridge: None, ..work })
}

/// One interpolated signal in terms of measured ones.
type Corners = [(usize, f64); 8];

impl Evidence<'_> {
    /// What pseudo-experiments of a registered region say, one answer each; `None` where the region
    /// was not registered, or lies where it was measured under a transform that is taken as exact.
    ///
    /// # Errors
    ///
    /// As the fits and the perturbation.
    pub(super) fn registered_answers(
        &self,
        judged: &Judged,
        n: usize,
    ) -> Result<Option<Vec<Option<Answer>>>> {
        let is_moved = self.work.plan.uncertainty.registration_sd_mm > 0.0;
        if trust::settings(self.work, self.measured.noise).is_none() {
            return Ok(None);
        }
        match (self.work.bridge, self.measured.noise) {
            (Some(Bridge::Resampled(resampled)), Some(noise)) => {
                self.resampled_answers((resampled, noise), judged, n).map(Some)
            }
            (Some(Bridge::Carried(carried)), Some(_)) if is_moved => {
                self.carried_answers(carried, judged, n)
            }
            _ => Ok(None),
        }
    }

    /// The error of the transform in one pseudo-experiment; `None` where it is taken as exact.
    fn perturbation(&self, grid: &Grid, replicate: u32) -> Result<Option<Perturbation>> {
        let sd_mm = self.work.plan.uncertainty.registration_sd_mm;
        let Some(settings) = self.work.plan.registration.as_ref().filter(|_| sd_mm > 0.0) else {
            return Ok(None);
        };
        let mut stream = self.work.key.stream(TRANSFORMS, replicate);
        Ok(Some(match settings.kind {
            TransformKind::Rigid => Perturbation::shift(sd_mm, &mut stream),
            TransformKind::FreeForm => {
                Perturbation::field(grid, settings.control_spacing_mm[1], sd_mm, &mut stream)?
            }
        }))
    }

    fn resampled_answers(
        &self,
        (resampled, noise): (&Resampled, &NoiseEstimate),
        judged: &Judged,
        n: usize,
    ) -> Result<Vec<Option<Answer>>> {
        let (deviations, is_stable) = (self.gate_deviations(), self.stable(judged));
        let drawing = Drawing {
            series: &resampled.measured.series,
            places_mm: &resampled.places_mm,
            sigma: noise.level.sigma(),
            offsets: self.offsets(resampled),
        };
        let answer = |replicate: usize| {
            let replicate = replicate as u32;
            let perturbation = self.perturbation(drawing.series.grid(), replicate)?;
            let corners = drawing.corners(perturbation.as_ref());
            let measured = drawing
                .noise(&corners, |voxel| self.work.key.stream(MEASURED_NOISE + voxel, replicate));
            let values = self.estimates(drawing.signals(&corners, &measured))?;
            Ok(self.look(&Look {
                values: &values,
                deviations: &deviations,
                is_stable: is_stable.as_deref(),
                n_habitats: judged.groups.as_ref().map_or(1, |groups| groups.habitats.k()),
                replicate: Some(replicate),
            }))
        };
        (0..n).into_par_iter().map(answer).collect()
    }

    /// Signals of the fits minus the interpolated ones, `[n_volumes, n_voxels]`; NaN where a fit is no
    /// optimum.
    fn offsets(&self, resampled: &Resampled) -> Vec<f64> {
        let fits = self.measured.fits;
        let estimator = self.measured.estimator;
        let series = &self.work.loaded.series;
        let (n_volumes, n_voxels) = (series.n_volumes(), resampled.places_mm.len());
        let mut fit = Fit::new(estimator.parameters().len());
        let mut scratch = vec![0.0; estimator.scratch_len()];
        let (mut samples, mut expected) = (vec![0.0; n_volumes], vec![0.0; n_volumes]);
        let mut offsets = vec![f64::NAN; n_volumes * n_voxels];
        for (place, &voxel) in fits.mask.indices().iter().enumerate() {
            if !fits.status[place].is_settled() {
                continue;
            }
            fit.fail(fits.status[place]);
            for (estimate, column) in fit.estimates.iter_mut().zip(&fits.estimates) {
                *estimate = column[place];
            }
            series.signals_into(voxel, &mut samples);
            let data = VoxelData { samples: &samples, fixed: &[] };
            estimator.expected(data, &fit, &mut scratch, &mut expected);
            for (volume, (expected, sample)) in expected.iter().zip(&samples).enumerate() {
                offsets[volume * n_voxels + place] = expected - sample;
            }
        }
        offsets
    }

    /// Clustered parameters from signals `[n_volumes, n_voxels]`; NaN where there is no estimate.
    fn estimates(&self, signals: Vec<f64>) -> Result<Vec<Vec<f64>>> {
        let n_voxels = self.measured.fits.n_voxels();
        let line = Grid::new([n_voxels, 1, 1], Affine::from_spacing([1.0; 3], [0.0; 3])?)?;
        let series = Series::from_signals(line, signals)?;
        let mask = Mask::full(line);
        let mut fits = Fits::empty(&mask);
        voxelwise_into(self.measured.estimator, &Voxelwise::new(&series, &mask), &mut fits)?;
        let columns = self.work.plan.habitat.as_ref().map_or(vec![0], |plan| self.columns(plan));
        let of = |column: usize| {
            let values = fits.estimates[column].iter().zip(&fits.status);
            values.map(|(x, status)| if status.has_estimate() { *x } else { f64::NAN }).collect()
        };
        Ok(columns.into_iter().map(of).collect())
    }

    fn carried_answers(
        &self,
        carried: &Carried,
        judged: &Judged,
        n: usize,
    ) -> Result<Option<Vec<Option<Answer>>>> {
        let work = VoxelWork { region: &carried.reach, bridge: None, ..self.work };
        let mut fits = Fits::empty(&carried.reach);
        let input = Voxelwise {
            fixed: work.fixed,
            noise: self.measured.noise.map(|noise| &noise.level),
            ..Voxelwise::new(&work.loaded.series, work.region)
        };
        voxelwise_into(self.measured.estimator, &input, &mut fits)?;
        let measured = Measured { fits: &fits, ..self.measured };
        let uncertainties = trust::uncertainties(work, measured, self.observer)?;
        let wide = Evidence { work, measured, uncertainties: &uncertainties, ..*self };
        let Some(drawn) = wide.draw(n)? else { return Ok(None) };
        let deviations = wide.gate_deviations();
        let answer = |replicate: usize| {
            let perturbation = self.perturbation(carried.drawn.grid(), replicate as u32)?;
            let parts = carried.voxels.fractions(&carried.drawn, perturbation.as_ref());
            let mut values = drawn.columns(replicate);
            for column in &mut values {
                let outside = column.iter_mut().zip(&parts);
                for (value, _) in outside.filter(|(_, part)| f64::from(**part) < carried.least) {
                    *value = f64::NAN;
                }
            }
            Ok(wide.look(&Look {
                values: &values,
                deviations: &deviations,
                is_stable: None,
                n_habitats: judged.groups.as_ref().map_or(1, |groups| groups.habitats.k()),
                replicate: Some(replicate as u32),
            }))
        };
        (0..n).into_par_iter().map(answer).collect::<Result<_>>().map(Some)
    }
}

/// What the signals of one pseudo-experiment are made of.
struct Drawing<'a> {
    series: &'a Series,
    places_mm: &'a [[f64; 3]],
    sigma: f64,
    offsets: Vec<f64>,
}

impl Drawing<'_> {
    /// Where each interpolated signal comes from under a perturbed transform.
    fn corners(&self, perturbation: Option<&Perturbation>) -> Vec<Option<Corners>> {
        let grid = self.series.grid();
        let at = |place: &[f64; 3]| {
            let by = perturbation.map_or([0.0; 3], |perturbation| perturbation.at(*place));
            corners_at(grid, [0, 1, 2].map(|axis| place[axis] + by[axis]))
        };
        self.places_mm.par_iter().map(at).collect()
    }

    /// Noise of every measured signal that is looked at, `[n_volumes, n_voxels]`; 0 elsewhere.
    fn noise(
        &self,
        corners: &[Option<Corners>],
        stream: impl Fn(usize) -> crate::random::Stream,
    ) -> Vec<f64> {
        let (n, n_volumes) = (self.series.grid().n_voxels(), self.series.n_volumes());
        let mut is_needed = vec![false; n];
        for (voxel, weight) in corners.iter().flatten().flatten() {
            is_needed[*voxel] |= *weight > 0.0;
        }
        let mut noise = vec![0.0; n * n_volumes];
        for voxel in (0..n).filter(|&voxel| is_needed[voxel]) {
            let mut stream = stream(voxel);
            for volume in 0..n_volumes {
                noise[volume * n + voxel] = self.sigma * stream.normal();
            }
        }
        noise
    }

    /// Signals of the fits, moved as the transform moves the measured ones, with `noise`.
    fn signals(&self, corners: &[Option<Corners>], noise: &[f64]) -> Vec<f64> {
        let n = self.series.grid().n_voxels();
        let mut signals = self.offsets.clone();
        let columns = signals.chunks_exact_mut(corners.len().max(1));
        for (volume, column) in columns.enumerate() {
            for (signal, corners) in column.iter_mut().zip(corners) {
                *signal += corners.map_or(f64::NAN, |corners| {
                    let part = |(voxel, weight): (usize, f64)| {
                        let measured = self.series.signal(voxel, volume);
                        if weight > 0.0 {
                            weight * (measured + noise[volume * n + voxel])
                        } else {
                            0.0
                        }
                    };
                    corners.into_iter().map(part).sum()
                });
            }
        }
        signals
    }
}
