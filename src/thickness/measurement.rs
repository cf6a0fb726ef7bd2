//! Thickness at every point of the articular surface.

use std::fmt;

use rayon::prelude::*;

use super::interface::{Extraction, Surfaces, check_masks, extract};
use super::layer::Layer;
use super::nearest::{Nearest, PointIndex};
use super::normal::{self, Hit};
use super::rim::InterfaceIndex;
use super::summary::{BoneSummary, Summary};
use super::{laplace, largest_sphere, voxel_surface};
use crate::error::{Error, Result};
use crate::image::{Grid, Mask, Volume};

/// The widest Gaussian and the widest rim that make sense on a knee, mm.
const MAXIMUM_LENGTH_MM: f64 = 5.0;

/// Cartilage thinner than this many standard deviations of the Gaussian is smoothed less.
const THIN_SD: f64 = 2.0;

/// Standard deviation of the Gaussian for thin cartilage, voxels along each axis.
const REDUCED_SD_VOXELS: f64 = 0.5;

/// Which distance is meant by thickness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// From smooth sub-voxel articular surface to smooth sub-voxel interface.
    #[default]
    Subvoxel,
    /// From articular voxel centre to bone voxel centre; short by about 0.1 mm.
    Voxel,
    /// Along the inward normal of the articular surface to the interface.
    Normal,
    /// Diameter of the largest ball between both surfaces.
    Local,
    /// Along the field lines of a potential between both surfaces.
    Laplace,
}

impl Method {
    /// Every definition.
    pub const ALL: [Self; 5] =
        [Self::Subvoxel, Self::Voxel, Self::Normal, Self::Local, Self::Laplace];

    /// Name in pipelines and sidecars.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subvoxel => "edt_subvoxel",
            Self::Voxel => "edt_voxel",
            Self::Normal => "normal",
            Self::Local => "local",
            Self::Laplace => "laplace",
        }
    }

    /// What is measured, in a few words.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Subvoxel | Self::Voxel => "nearest distance",
            Self::Normal => "distance along the normal",
            Self::Local => "diameter of the largest ball",
            Self::Laplace => "length of field lines",
        }
    }

    /// Where the algorithm is described.
    pub fn reference(self) -> &'static str {
        match self {
            Self::Subvoxel | Self::Voxel => {
                "Felzenszwalb and Huttenlocher, Theory of Computing 2012, \
                 doi:10.4086/toc.2012.v008a019"
            }
            Self::Normal => {
                "Möller and Trumbore, Journal of Graphics Tools 1997, \
                 doi:10.1080/10867651.1997.10487468"
            }
            Self::Local => {
                "Hildebrand and Rüegsegger, Journal of Microscopy 1997, \
                 doi:10.1046/j.1365-2818.1997.1340694.x"
            }
            Self::Laplace => {
                "Yezzi and Prince, IEEE Transactions on Medical Imaging 2003, \
                 doi:10.1109/TMI.2003.817775"
            }
        }
    }

    /// The definition of that name; `None` for any other name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// How to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Which distance.
    pub method: Method,
    /// Standard deviation of the Gaussian that smooths the masks, mm, in 0–5.
    pub smoothing_sd_mm: f64,
    /// Articular points nearer than this to the curve where the interface ends are excluded, mm, in
    /// 0–5.
    pub rim_mm: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { method: Method::Subvoxel, smoothing_sd_mm: 0.7, rim_mm: 1.0 }
    }
}

/// One point of the articular surface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurfacePoint {
    /// Where it is, scanner mm.
    pub position_mm: [f64; 3],
    /// Thickness as the method defines it, mm.
    pub thickness_mm: f64,
    /// Area it stands for, mm².
    pub area_mm2: f64,
    /// Linear index of the cartilage voxel nearest to it.
    pub voxel: usize,
    /// The nearest point of the interface, or that on the normal, scanner mm.
    pub interface_mm: [f64; 3],
}

/// Something the reader of a thickness must know.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// Cartilage without bone is thin against the Gaussian, which was narrowed to half a voxel.
    SmoothingReduced,
    /// Every articular point lies at the rim, so that nothing is left to average.
    AllAtRim,
    /// This many cartilage voxels are not connected to bone and were left out.
    Detached(usize),
    /// The interface has less than half the area of the articular surface: a gap in the labels.
    SmallInterface,
    /// This many articular points beyond the rim have no thickness as the method defines it.
    Unmeasured(usize),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SmoothingReduced => write!(
                f,
                "cartilage thinner than {THIN_SD} standard deviations of the smoothing: narrowed \
                 to {REDUCED_SD_VOXELS} voxel"
            ),
            Self::AllAtRim => write!(f, "every articular point lies at the rim: no thickness"),
            Self::Detached(n) => {
                write!(f, "{n} cartilage voxels are not connected to bone: left out")
            }
            Self::Unmeasured(n) => {
                write!(f, "{n} articular points beyond the rim have no thickness: left out")
            }
            Self::SmallInterface => write!(
                f,
                "the bone–cartilage interface has less than half the articular area: look for a \
                 gap between the labels"
            ),
        }
    }
}

/// Thickness of one cartilage.
#[derive(Debug, Clone, PartialEq)]
pub struct Thickness {
    /// Points of the articular surface beyond the rim.
    pub points: Vec<SurfacePoint>,
    /// The points in a few numbers.
    pub summary: Summary,
    /// Which distance was measured.
    pub method: Method,
    /// The surfaces, where the method makes them, with their smoothing.
    pub surfaces: Option<Surfaces>,
    /// Thickness at each articular vertex, mm; NaN at the rim. Empty without surfaces.
    pub vertex_thickness_mm: Vec<f32>,
    /// What the reader must know.
    pub warnings: Vec<Warning>,
    grid: Grid,
}

impl Thickness {
    /// Statistics of the points that `keep` names; `volume_mm3` is that of their voxels of cartilage.
    ///
    /// Points excluded at the rim belong to no part, and no bone is told: its area is that of the whole.
    pub fn summary_of(&self, volume_mm3: f64, keep: impl Fn(&SurfacePoint) -> bool) -> Summary {
        let points: Vec<SurfacePoint> =
            self.points.iter().filter(|point| keep(point)).copied().collect();
        Summary::new(&points, 0, volume_mm3)
    }

    /// Thickness at the cartilage voxels of the articular surface, mm: the mean of the points
    /// nearest to each, weighted by area; 0 elsewhere.
    pub fn map(&self) -> Volume<f32> {
        let mut sums: Vec<(usize, f64, f64)> = self
            .points
            .iter()
            .map(|point| (point.voxel, point.thickness_mm * point.area_mm2, point.area_mm2))
            .collect();
        sums.sort_by_key(|sum| sum.0);
        let mut map = Volume::from_fn(self.grid, |_| 0.0);
        for group in sums.chunk_by(|a, b| a.0 == b.0) {
            let (weighted, area) =
                group.iter().fold((0.0, 0.0), |sum, g| (sum.0 + g.1, sum.1 + g.2));
            if area > 0.0 {
                map.voxels_mut()[group[0].0] = (weighted / area) as f32;
            }
        }
        map
    }
}

/// Measures the thickness of `cartilage` on `bone`; without bone its side is found from the curve
/// of a femoral condyle whose axis runs along scanner x.
///
/// Bone and bone with cartilage are smoothed each for itself, so that thin cartilage stays as thick
/// as it is. Cartilage alone is worn away where it is thin: its surfaces are moved back by what a
/// plane layer loses, and where its median is below twice the smoothing they are made again with a
/// Gaussian of half a voxel. `laplace` follows the smooth field itself and gets nothing back.
///
/// # Errors
///
/// `Value` when a setting is out of range, a mask is empty, the voxel axes are not orthogonal,
/// cartilage and bone do not touch, `edt_voxel` has no bone, or cartilage without bone is no piece
/// of a condyle; `Mismatch` when the grids differ or the masks share voxels.
pub fn measure(cartilage: &Mask, bone: Option<&Mask>, settings: &Settings) -> Result<Thickness> {
    check_settings(settings)?;
    check_masks(cartilage, bone)?;
    match settings.method {
        Method::Subvoxel | Method::Normal | Method::Local | Method::Laplace => {
            measure_between_surfaces(cartilage, bone, settings)
        }
        Method::Voxel => {
            let bone = bone.ok_or_else(|| {
                Error::value("`edt_voxel` measures to bone voxels, and there is no bone mask")
                    .at_field("bone")
                    .hint("give the label of the bone, or use `edt_subvoxel`")
            })?;
            let (points, n_excluded) = voxel_surface::measure(cartilage, bone, settings.rim_mm)?;
            let mut thickness = Thickness::new(cartilage, points, n_excluded);
            thickness.method = Method::Voxel;
            Ok(thickness)
        }
    }
}

fn check_settings(settings: &Settings) -> Result<()> {
    let lengths = [("smoothing_sd_mm", settings.smoothing_sd_mm), ("rim_mm", settings.rim_mm)];
    for (field, length_mm) in lengths {
        if !(0.0..=MAXIMUM_LENGTH_MM).contains(&length_mm) {
            let rule = format!("{length_mm} mm is outside 0–{MAXIMUM_LENGTH_MM} mm");
            return Err(Error::value(rule).at_field(field));
        }
    }
    Ok(())
}

fn measure_between_surfaces(
    cartilage: &Mask,
    bone: Option<&Mask>,
    settings: &Settings,
) -> Result<Thickness> {
    let sd_mm = settings.smoothing_sd_mm;
    let measure = |sd_mm| {
        let extraction = extract(cartilage, bone, sd_mm)?;
        Thickness::between(cartilage, extraction, settings)
    };
    let full: Result<Thickness> = measure([sd_mm; 3]);
    let is_thick = |t: &Thickness| t.summary.median_mm >= THIN_SD * sd_mm;
    if bone.is_some() || full.as_ref().is_ok_and(is_thick) {
        return full;
    }
    let spacing_mm = cartilage.grid().affine().spacing_mm();
    let mut reduced = measure(spacing_mm.map(|spacing| sd_mm.min(REDUCED_SD_VOXELS * spacing)))?;
    reduced.warnings.insert(0, Warning::SmoothingReduced);
    Ok(reduced)
}

impl Thickness {
    fn new(cartilage: &Mask, points: Vec<SurfacePoint>, n_excluded: usize) -> Self {
        let summary = Summary::new(&points, n_excluded, cartilage.volume_ml() * 1e3);
        let warnings = if points.is_empty() { vec![Warning::AllAtRim] } else { Vec::new() };
        Self {
            points,
            summary,
            method: Method::Subvoxel,
            surfaces: None,
            vertex_thickness_mm: Vec::new(),
            warnings,
            grid: *cartilage.grid(),
        }
    }

    fn between(cartilage: &Mask, extraction: Extraction, settings: &Settings) -> Result<Self> {
        let Extraction { surfaces, layer } = extraction;
        let interface_mm = &surfaces.interface.vertices_mm;
        let index = InterfaceIndex::new(interface_mm, &surfaces.interface_rim, settings.rim_mm);
        let articular = &surfaces.articular;
        let facing: Vec<Option<Length>> = articular
            .vertices_mm
            .par_iter()
            .map(|&position| index.facing(position).map(|near| Length::new(near, interface_mm)))
            .collect();
        let lengths = lengths(settings.method, &layer, &surfaces, &facing)?;
        let points: Vec<SurfacePoint> = (0..lengths.len())
            .filter_map(|vertex| {
                let length = lengths[vertex]?;
                Some(SurfacePoint {
                    position_mm: articular.vertices_mm[vertex],
                    thickness_mm: length.thickness_mm,
                    area_mm2: articular.vertex_areas_mm2[vertex],
                    voxel: surfaces.articular_voxels[vertex],
                    interface_mm: length.interface_mm,
                })
            })
            .collect();
        let n_excluded = lengths.len() - points.len();
        let n_unmeasured = facing.iter().flatten().count() - points.len();
        let mut thickness = Self::new(cartilage, points, n_excluded);
        thickness.method = settings.method;
        thickness.summary.bone = Some(summarise_bone(&surfaces, &index));
        thickness.vertex_thickness_mm = lengths
            .iter()
            .map(|length| length.map_or(f32::NAN, |length| length.thickness_mm as f32))
            .collect();
        thickness.warn(&surfaces, n_unmeasured);
        thickness.surfaces = Some(surfaces);
        Ok(thickness)
    }

    fn warn(&mut self, surfaces: &Surfaces, n_unmeasured: usize) {
        if surfaces.n_detached > 0 {
            self.warnings.push(Warning::Detached(surfaces.n_detached));
        }
        if surfaces.interface.area_mm2() < 0.5 * surfaces.articular.area_mm2() {
            self.warnings.push(Warning::SmallInterface);
        }
        if n_unmeasured > 0 {
            self.warnings.push(Warning::Unmeasured(n_unmeasured));
        }
    }
}

/// Thickness at one articular vertex, and where on the interface it ends.
#[derive(Clone, Copy)]
struct Length {
    thickness_mm: f64,
    interface_mm: [f64; 3],
}

impl Length {
    fn new(nearest: Nearest, interface_mm: &[[f64; 3]]) -> Self {
        Self { thickness_mm: nearest.squared_mm2.sqrt(), interface_mm: interface_mm[nearest.id] }
    }
}

/// Thickness at each articular vertex that faces the interface, as `method` defines it.
fn lengths(
    method: Method,
    layer: &Layer,
    surfaces: &Surfaces,
    facing: &[Option<Length>],
) -> Result<Vec<Option<Length>>> {
    let values_mm = match method {
        Method::Subvoxel | Method::Voxel => return Ok(facing.to_vec()),
        Method::Normal => {
            let hits = normal::hits(surfaces).into_iter().zip(facing);
            let length =
                |hit: Hit| Length { thickness_mm: hit.distance_mm, interface_mm: hit.position_mm };
            return Ok(hits.map(|(hit, facing)| facing.and(hit.map(length))).collect());
        }
        Method::Local => {
            let vertices = surfaces.articular.vertices_mm.iter().zip(facing);
            let ways: Vec<_> = vertices
                .map(|(&vertex, facing)| facing.map(|near| [vertex, near.interface_mm]))
                .collect();
            largest_sphere::thickness(surfaces, &ways)
        }
        Method::Laplace => laplace::thickness(layer, surfaces)?,
    };
    let facing = values_mm.iter().zip(facing).map(|(&thickness_mm, facing)| {
        let length = |near: &Length| Length { thickness_mm, ..*near };
        facing.as_ref().map(length).filter(|length| length.thickness_mm.is_finite())
    });
    Ok(facing.collect())
}

/// Distances from the interface to the joint, beyond the rim.
fn summarise_bone(surfaces: &Surfaces, index: &InterfaceIndex<'_>) -> BoneSummary {
    let interface = &surfaces.interface;
    let joint = PointIndex::new(&surfaces.articular.vertices_mm);
    let distances: Vec<(f64, f64)> = interface
        .vertices_mm
        .par_iter()
        .zip(&interface.vertex_areas_mm2)
        .filter(|(position, _)| !index.is_near_curve(**position))
        .filter_map(|(&position, &area)| Some((joint.nearest(position)?.squared_mm2.sqrt(), area)))
        .collect();
    BoneSummary::new(interface.area_mm2(), surfaces.denuded_area_mm2, &distances)
}
