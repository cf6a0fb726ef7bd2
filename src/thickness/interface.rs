//! The two surfaces of a cartilage: where it meets bone, and where it meets the joint.
//!
//! With a bone mask F and a cartilage mask K, `G ∗ F = ½` restricted to K is the bone–cartilage
//! interface and `G ∗ (F ∪ K) = ½` restricted to K the articular surface, `G` a Gaussian. A point
//! belongs to K when the nearest voxel outside F (interface) or inside F ∪ K (articular) is
//! cartilage; this holds however thin the cartilage is.
//!
//! Without bone, `G ∗ K = ½` is divided by the axis of the joint: a circle is fitted to K in the
//! sagittal plane, and where the outward normal looks at its centre the surface faces bone. That
//! holds for the femur only. A layer that is smoothed alone loses on both sides; its surfaces are
//! moved outward by what a plane layer of the same thickness loses.

use rayon::prelude::*;

use super::condyle::condyle_axis;
use super::erosion;
use super::layer::Layer;
use super::region::{Region, Tissue, margin_voxels};
use super::surface::{IsoSurface, Surface, dot, unit};
use crate::error::{Error, Result};
use crate::image::Mask;

/// Voxel axes further from a right angle than this cosine make distances along them wrong.
const MAXIMUM_SHEAR: f64 = 1e-3;

/// Both surfaces of one cartilage.
#[derive(Debug, Clone, PartialEq)]
pub struct Surfaces {
    /// Where cartilage meets the joint.
    pub articular: Surface,
    /// The cartilage voxel nearest to each articular vertex, as linear index in the grid.
    pub articular_voxels: Vec<usize>,
    /// Outward unit normal at each articular vertex, in scanner axes; NaN where no area meets.
    pub articular_normals: Vec<[f64; 3]>,
    /// Where cartilage meets bone.
    pub interface: Surface,
    /// Whether each interface vertex lies on the curve where the interface ends.
    pub interface_rim: Vec<bool>,
    /// Area of bone that cartilage surrounds and does not cover, mm².
    pub denuded_area_mm2: f64,
    /// Standard deviation of the Gaussian along each voxel axis, mm.
    pub smoothing_sd_mm: [f64; 3],
    /// Cartilage voxels that touch neither bone nor other cartilage that does; left out.
    pub n_detached: usize,
}

/// Cuts both surfaces out of the masks; `smoothing_sd_mm` is that of the Gaussian along each voxel
/// axis, 0 for none.
///
/// # Errors
///
/// `Mismatch` when the grids differ or the masks share voxels; `Value` when a mask is empty, the
/// voxel axes are not orthogonal, an axis has fewer than two voxels, cartilage and bone do not
/// touch, or the cartilage alone is no piece of a condyle.
pub fn extract_surfaces(
    cartilage: &Mask,
    bone: Option<&Mask>,
    smoothing_sd_mm: [f64; 3],
) -> Result<Surfaces> {
    Ok(extract(cartilage, bone, smoothing_sd_mm)?.surfaces)
}

/// Both surfaces, and the smooth fields they were cut from.
pub(super) struct Extraction {
    pub(super) surfaces: Surfaces,
    pub(super) layer: Layer,
}

/// As [`extract_surfaces`], with the layer between both surfaces.
///
/// # Errors
///
/// As [`extract_surfaces`].
pub(super) fn extract(
    cartilage: &Mask,
    bone: Option<&Mask>,
    smoothing_sd_mm: [f64; 3],
) -> Result<Extraction> {
    check_masks(cartilage, bone)?;
    let shape = cartilage.grid().shape();
    if shape.contains(&1) {
        return Err(Error::value(format!(
            "shape {shape:?}: a surface needs at least two voxels along each axis"
        )));
    }
    let spacing_mm = cartilage.grid().affine().spacing_mm();
    let sd_voxels = [0, 1, 2].map(|axis| smoothing_sd_mm[axis] / spacing_mm[axis]);
    let mut region = Region::around(cartilage, bone, margin_voxels(sd_voxels));
    let n_detached = if bone.is_some() { region.remove_detached() } else { 0 };
    let mut bone_field = None;
    let whole_field = region.smooth(sd_voxels, |tissue| tissue != Tissue::Background)?;
    let whole = IsoSurface::extract(&region, &whole_field);
    let mut surfaces = if bone.is_some() {
        let field = region.smooth(sd_voxels, |tissue| tissue == Tissue::Bone)?;
        let surface = IsoSurface::extract(&region, &field);
        bone_field = Some(field);
        between_bone_and_joint(&region, [&surface, &whole], sd_voxels)
    } else {
        between_axis_and_joint(&region, &whole, sd_voxels)?
    };
    if surfaces.interface.is_empty() {
        return Err(Error::value("no surface between bone and cartilage: they do not touch")
            .hint("check that both labels belong to one bone and leave no gap between them"));
    }
    surfaces.smoothing_sd_mm = smoothing_sd_mm;
    surfaces.n_detached = n_detached;
    Ok(Extraction { surfaces, layer: Layer { region, bone: bone_field, whole: whole_field } })
}

/// What every way of measuring demands of its masks.
pub(super) fn check_masks(cartilage: &Mask, bone: Option<&Mask>) -> Result<()> {
    if cartilage.is_empty() {
        return Err(Error::value("the cartilage mask is empty")
            .at_field("cartilage")
            .hint("check the label value: no voxel carries it"));
    }
    let shear = cartilage.grid().affine().shear();
    if shear > MAXIMUM_SHEAR {
        return Err(Error::value(format!(
            "voxel axes with |cosine| {shear:.4} between them, more than {MAXIMUM_SHEAR}: distances \
             need orthogonal voxels"
        )));
    }
    let Some(bone) = bone else { return Ok(()) };
    cartilage.grid().require_same(bone.grid()).map_err(|error| error.at_field("bone"))?;
    if bone.is_empty() {
        return Err(Error::value("the bone mask is empty")
            .at_field("bone")
            .hint("check the label value: no voxel carries it"));
    }
    let shared = cartilage.indices().iter().filter(|&&index| bone.contains(index)).count();
    if shared > 0 {
        return Err(Error::mismatch(format!("bone and cartilage share {shared} voxels")));
    }
    Ok(())
}

fn between_bone_and_joint(
    region: &Region,
    [bone, whole]: [&IsoSurface; 2],
    sd_voxels: [f64; 3],
) -> Surfaces {
    let covering = cartilage_at(region, bone, sd_voxels, |tissue| tissue != Tissue::Bone);
    let covered: Vec<bool> = covering.iter().map(Option::is_some).collect();
    let voxels = cartilage_at(region, whole, sd_voxels, |tissue| tissue != Tissue::Background);
    Surfaces {
        interface: bone.surface.patch(&covered),
        interface_rim: rim_of(bone, &covered),
        denuded_area_mm2: enclosed_area_mm2(bone, &covered),
        ..Surfaces::articular(region, whole, &voxels)
    }
}

fn between_axis_and_joint(
    region: &Region,
    whole: &IsoSurface,
    sd_voxels: [f64; 3],
) -> Result<Surfaces> {
    let axis_mm = fit_axis(region)?;
    let outward_mm2 = whole.outward_mm2();
    let facing_bone: Vec<bool> = outward_mm2
        .iter()
        .zip(&whole.surface.vertices_mm)
        .map(|(normal, p)| normal[1] * (p[1] - axis_mm[0]) + normal[2] * (p[2] - axis_mm[1]) < 0.0)
        .collect();
    let mut voxels = cartilage_at(region, whole, sd_voxels, |t| t == Tissue::Cartilage);
    voxels.iter_mut().zip(&facing_bone).filter(|(_, bone)| **bone).for_each(|(at, _)| *at = None);
    let mut surfaces = Surfaces {
        interface: whole.surface.patch(&facing_bone),
        interface_rim: rim_of(whole, &facing_bone),
        ..Surfaces::articular(region, whole, &voxels)
    };
    let normals = outward_mm2.iter().zip(&facing_bone).filter(|(_, bone)| **bone);
    let normals: Vec<[f64; 3]> = normals.map(|(&area, _)| unit(area)).collect();
    erosion::restore(&mut surfaces, &normals, |normal| sd_along_mm(region, sd_voxels, normal));
    Ok(surfaces)
}

/// Standard deviation of the Gaussian along a unit normal in scanner axes, mm.
fn sd_along_mm(region: &Region, sd_voxels: [f64; 3], normal: [f64; 3]) -> f64 {
    let matrix = region.grid.affine().matrix();
    let along = |axis: usize| sd_voxels[axis] * dot(normal, matrix.map(|row| row[axis]));
    (0..3).map(|axis| along(axis).powi(2)).sum::<f64>().sqrt()
}

impl Surfaces {
    /// The articular surface alone: the vertices of `whole` with a voxel of cartilage.
    fn articular(region: &Region, whole: &IsoSurface, voxels: &[Option<usize>]) -> Self {
        let keep: Vec<bool> = voxels.iter().map(Option::is_some).collect();
        let normals = whole.outward_mm2().into_iter().zip(&keep).filter(|(_, keep)| **keep);
        Self {
            articular: whole.surface.patch(&keep),
            articular_voxels: grid_indices(region, voxels),
            articular_normals: normals.map(|(area, _)| unit(area)).collect(),
            interface: Surface::default(),
            interface_rim: Vec::new(),
            denuded_area_mm2: 0.0,
            smoothing_sd_mm: [0.0; 3],
            n_detached: 0,
        }
    }
}

/// For each vertex the nearest voxel among those `wanted`, where that is cartilage.
fn cartilage_at(
    region: &Region,
    iso: &IsoSurface,
    sd_voxels: [f64; 3],
    wanted: impl Fn(Tissue) -> bool + Sync,
) -> Vec<Option<usize>> {
    let spacing_mm = region.grid.affine().spacing_mm();
    let reach_mm = (0..3).map(|a| (3.0 * sd_voxels[a] + 2.0) * spacing_mm[a]).fold(0.0, f64::max);
    let nearest = |&voxel: &[f64; 3]| {
        let at = region.nearest(voxel, reach_mm, &wanted);
        at.filter(|&at| region.tissues[at] == Tissue::Cartilage)
    };
    iso.voxels.par_iter().map(nearest).collect()
}

fn grid_indices(region: &Region, voxels: &[Option<usize>]) -> Vec<usize> {
    voxels.iter().flatten().map(|&at| region.grid_index(region.voxel(at))).collect()
}

/// For each vertex of the patch that `keep` names, whether the patch ends there.
fn rim_of(iso: &IsoSurface, keep: &[bool]) -> Vec<bool> {
    let mut rim = iso.on_border.clone();
    for triangle in &iso.surface.triangles {
        if triangle.iter().any(|&vertex| !keep[vertex as usize]) {
            for vertex in triangle {
                rim[*vertex as usize] = true;
            }
        }
    }
    rim.iter().zip(keep).filter(|(_, keep)| **keep).map(|(&rim, _)| rim).collect()
}

/// Area of the pieces of bone surface that are not covered, touch covered bone, and neither reach
/// the border of the box nor are the largest piece, which is the bone outside the joint.
fn enclosed_area_mm2(bone: &IsoSurface, covered: &[bool]) -> f64 {
    let mut pieces = Pieces::new(covered.len());
    let mut touches_cover = vec![false; covered.len()];
    for &triangle in &bone.surface.triangles {
        let corners = triangle.map(|vertex| vertex as usize);
        for (a, b) in [(0, 1), (1, 2), (2, 0)].map(|(a, b)| (corners[a], corners[b])) {
            match (covered[a], covered[b]) {
                (false, false) => pieces.join(a, b),
                (false, true) => touches_cover[a] = true,
                (true, false) => touches_cover[b] = true,
                (true, true) => {}
            }
        }
    }
    let mut areas_mm2 = vec![0.0; covered.len()];
    let (mut touches, mut open) = (vec![false; covered.len()], vec![false; covered.len()]);
    for vertex in (0..covered.len()).filter(|&vertex| !covered[vertex]) {
        let piece = pieces.find(vertex);
        areas_mm2[piece] += bone.surface.vertex_areas_mm2[vertex];
        touches[piece] |= touches_cover[vertex];
        open[piece] |= bone.on_border[vertex];
    }
    let largest = (0..areas_mm2.len()).max_by(|&a, &b| areas_mm2[a].total_cmp(&areas_mm2[b]));
    (0..areas_mm2.len())
        .filter(|&piece| touches[piece] && !open[piece] && Some(piece) != largest)
        .fold(0.0, |sum, piece| sum + areas_mm2[piece])
}

/// Disjoint sets of vertices.
struct Pieces(Vec<usize>);

impl Pieces {
    fn new(n: usize) -> Self {
        Self((0..n).collect())
    }

    /// The lowest vertex of the piece.
    fn find(&mut self, mut vertex: usize) -> usize {
        while self.0[vertex] != vertex {
            self.0[vertex] = self.0[self.0[vertex]];
            vertex = self.0[vertex];
        }
        vertex
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// Where the axis of the joint, which runs along scanner x, crosses the sagittal plane: y and z, mm.
fn fit_axis(region: &Region) -> Result<[f64; 2]> {
    let cartilage = (0..region.tissues.len()).filter(|&at| region.tissues[at] == Tissue::Cartilage);
    let positions: Vec<[f64; 3]> =
        cartilage.map(|at| region.position_mm(region.voxel(at).map(|i| i as f64))).collect();
    condyle_axis(&positions).map_err(|error| {
        error.hint("give the label of the bone, so that its side of the cartilage is known")
    })
}
