//! How far a thickness can be wrong because the labels are: pseudo-experiments of their surfaces.
//!
//! Whoever draws a label misses the true surface by a distance that changes slowly along it. Each
//! pseudo-experiment moves the smooth surfaces along their normals by Gaussian random fields, one for
//! the interface and one for the joint, and measures every point again. The points of the articular
//! surface, their areas and the rim stay those of the measurement.

use rayon::prelude::*;

use super::interface::Surfaces;
use super::measurement::{Method, SurfacePoint, Thickness};
use super::nearest::PointIndex;
use super::normal;
use super::random_field::RandomField;
use super::summary::{weighted_mean, weighted_quantile};
use crate::error::{Error, Result};
use crate::random::StreamKey;

/// Fewest pseudo-experiments that give a standard deviation.
const FEWEST: u32 = 2;

/// Correlation lengths that a lattice can hold and a joint has room for, mm.
const CORRELATIONS_MM: std::ops::RangeInclusive<f64> = 1.0..=100.0;

/// Largest standard deviation of a surface, mm; beyond it surfaces would cross.
const LARGEST_SD_MM: f64 = 1.0;

/// How far the surfaces of a label are off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelError {
    /// Number of pseudo-experiments, from 2.
    pub pseudo_experiments: u32,
    /// Standard deviation of the distance between drawn and true surface, mm, above 0 and up to 1.
    pub sd_mm: f64,
    /// Distance over which it correlates by e^−½, mm, in 1–100.
    pub correlation_mm: f64,
}

/// The thickness of one cartilage in every pseudo-experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct SmearedThickness {
    /// One list per pseudo-experiment, with the thickness at every point of the measurement, mm; NaN
    /// where there was none.
    replicates_mm: Vec<Vec<f32>>,
}

/// Standard deviations over the pseudo-experiments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StandardErrors {
    /// Of the area-weighted mean, mm.
    pub mean_mm: f64,
    /// Of the area-weighted median, mm.
    pub median_mm: f64,
}

/// Measures `thickness` again with its surfaces moved as `error` says; the draws depend on `key` and
/// the pseudo-experiment alone.
///
/// # Errors
///
/// `Value` when `error` is out of range, or the definition is neither `edt_subvoxel` nor `normal`.
pub fn smear(
    thickness: &Thickness,
    error: &LabelError,
    key: StreamKey,
) -> Result<SmearedThickness> {
    check(error)?;
    let surfaces = thickness.surfaces.as_ref();
    let is_able = matches!(thickness.method, Method::Subvoxel | Method::Normal);
    let Some(surfaces) = surfaces.filter(|_| is_able) else {
        let message = format!("`{}` has no pseudo-experiments", thickness.method.name());
        return Err(Error::value(message)
            .at_field("uncertainty")
            .hint("use `edt_subvoxel` or `normal`, whose surfaces can be moved"));
    };
    let smearing = Smearing::new(thickness, surfaces, error);
    let replicates = (0..error.pseudo_experiments).into_par_iter();
    Ok(SmearedThickness {
        replicates_mm: replicates.map(|replicate| smearing.replicate(key, replicate)).collect(),
    })
}

fn check(error: &LabelError) -> Result<()> {
    let refuse = |field, rule: String| Err(Error::value(rule).at_field(field));
    if error.pseudo_experiments < FEWEST {
        let n = error.pseudo_experiments;
        return refuse("pseudo_experiments", format!("{n} is less than {FEWEST}"));
    }
    if !(error.sd_mm > 0.0 && error.sd_mm <= LARGEST_SD_MM) {
        let rule = format!("{} mm is not above 0 and up to {LARGEST_SD_MM} mm", error.sd_mm);
        return refuse("sd_mm", rule);
    }
    if !CORRELATIONS_MM.contains(&error.correlation_mm) {
        let (low, high) = (CORRELATIONS_MM.start(), CORRELATIONS_MM.end());
        let rule = format!("{} mm is outside {low}–{high} mm", error.correlation_mm);
        return refuse("correlation_mm", rule);
    }
    Ok(())
}

/// What all pseudo-experiments share.
struct Smearing<'a> {
    method: Method,
    surfaces: &'a Surfaces,
    interface_normals: Vec<[f64; 3]>,
    /// Articular vertex of every point of the measurement.
    vertices: Vec<usize>,
    bounds_mm: [[f64; 3]; 2],
    error: LabelError,
}

impl<'a> Smearing<'a> {
    fn new(thickness: &Thickness, surfaces: &'a Surfaces, error: &LabelError) -> Self {
        let values = thickness.vertex_thickness_mm.iter().enumerate();
        let all = surfaces.articular.vertices_mm.iter().chain(&surfaces.interface.vertices_mm);
        let bounds_mm = all.fold([[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]], |[low, high], p| {
            [[0, 1, 2].map(|a| low[a].min(p[a])), [0, 1, 2].map(|a| high[a].max(p[a]))]
        });
        Self {
            method: thickness.method,
            surfaces,
            interface_normals: surfaces.interface.normals(),
            vertices: values.filter(|(_, t)| t.is_finite()).map(|(vertex, _)| vertex).collect(),
            bounds_mm,
            error: *error,
        }
    }

    /// Thickness at every point of the measurement in one pseudo-experiment.
    fn replicate(&self, key: StreamKey, replicate: u32) -> Vec<f32> {
        let moves = |surface: usize, vertices_mm: &[[f64; 3]]| -> Vec<f64> {
            let mut stream = key.stream(surface, replicate);
            let field = RandomField::draw(self.bounds_mm, self.error.correlation_mm, &mut stream);
            vertices_mm.iter().map(|&vertex| self.error.sd_mm * field.at(vertex)).collect()
        };
        let mut moved = self.surfaces.clone();
        let by_mm = moves(0, &moved.interface.vertices_mm);
        moved.interface.displace(&self.interface_normals, &by_mm);
        let by_mm = moves(1, &moved.articular.vertices_mm);
        moved.articular.displace(&self.surfaces.articular_normals, &by_mm);
        if self.method == Method::Normal {
            let hits = normal::hits(&moved);
            let at = |&vertex: &usize| hits[vertex].map_or(f32::NAN, |hit| hit.distance_mm as f32);
            return self.vertices.iter().map(at).collect();
        }
        let interface = PointIndex::new(&moved.interface.vertices_mm);
        let at = |&vertex: &usize| {
            let nearest = interface.nearest(moved.articular.vertices_mm[vertex]);
            nearest.map_or(f32::NAN, |nearest| nearest.squared_mm2.sqrt() as f32)
        };
        self.vertices.iter().map(at).collect()
    }
}

impl SmearedThickness {
    /// Standard deviation at every point of the measurement, mm; NaN where fewer than two
    /// pseudo-experiments have a thickness.
    pub fn point_sds_mm(&self) -> Vec<f64> {
        let n_points = self.replicates_mm.first().map_or(0, Vec::len);
        let of_point = |point: usize| {
            let values = self.replicates_mm.iter().map(|replicate| f64::from(replicate[point]));
            sd(values.filter(|value| value.is_finite()))
        };
        (0..n_points).map(of_point).collect()
    }

    /// Standard errors of mean and median over those of `points`, the points of the measurement, that
    /// `keep` names; NaN where there are none.
    pub fn standard_errors(
        &self,
        points: &[SurfacePoint],
        keep: impl Fn(&SurfacePoint) -> bool,
    ) -> StandardErrors {
        let kept: Vec<usize> = (0..points.len()).filter(|&point| keep(&points[point])).collect();
        let statistics = |replicate: &Vec<f32>| {
            let value = |&point: &usize| (f64::from(replicate[point]), points[point].area_mm2);
            let mut values: Vec<_> = kept.iter().map(value).filter(|v| v.0.is_finite()).collect();
            values.sort_by(|a, b| a.0.total_cmp(&b.0));
            [weighted_mean(&values), weighted_quantile(&values, 0.5)]
        };
        let all: Vec<[f64; 2]> = self.replicates_mm.par_iter().map(statistics).collect();
        let [mean_mm, median_mm] = [0, 1].map(|which| sd(all.iter().map(|both| both[which])));
        StandardErrors { mean_mm, median_mm }
    }
}

/// Standard deviation with n − 1; NaN for fewer than two values.
fn sd(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let (n, sum) = values.clone().fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + value));
    let mean = sum / n;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    if n < 2.0 { f64::NAN } else { (squares / (n - 1.0)).sqrt() }
}
