//! The box of voxels around the cartilage, and smooth fields on it.

use ndarray::{ArrayViewMut2, ArrayViewMut3, Axis};
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::image::{Grid, Mask};

/// A Gaussian is cut off beyond this many standard deviations.
const CUT_OFF_SD: f64 = 4.0;

/// What a voxel holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tissue {
    Background,
    Bone,
    Cartilage,
}

/// A box of voxels of `grid` and the tissue of each, `x` fastest.
pub(super) struct Region {
    pub(super) grid: Grid,
    pub(super) origin: [usize; 3],
    pub(super) shape: [usize; 3],
    pub(super) tissues: Vec<Tissue>,
}

impl Region {
    /// The cartilage and what lies within `margin` voxels of it along each axis.
    pub(super) fn around(cartilage: &Mask, bone: Option<&Mask>, margin: [usize; 3]) -> Self {
        let grid = *cartilage.grid();
        let mut low = grid.shape();
        let mut high = [0; 3];
        for &index in cartilage.indices() {
            for (axis, i) in grid.voxel(index).into_iter().enumerate() {
                low[axis] = low[axis].min(i);
                high[axis] = high[axis].max(i + 1);
            }
        }
        let origin = [0, 1, 2].map(|a| low[a].saturating_sub(margin[a]));
        let shape = [0, 1, 2].map(|a| (high[a] + margin[a]).min(grid.shape()[a]) - origin[a]);
        let mut region = Self { grid, origin, shape, tissues: Vec::new() };
        let tissue = |index: usize| match (
            cartilage.contains(index),
            bone.is_some_and(|bone| bone.contains(index)),
        ) {
            (true, _) => Tissue::Cartilage,
            (false, true) => Tissue::Bone,
            (false, false) => Tissue::Background,
        };
        let rows = (0..shape[2]).flat_map(|k| (0..shape[1]).map(move |j| [0, j, k]));
        region.tissues = rows
            .map(|first| region.grid_index(first))
            .flat_map(|start| (start..start + shape[0]).map(tissue))
            .collect();
        region
    }

    /// Place of voxel `[i, j, k]` of the box in `tissues`.
    pub(super) fn index(&self, [i, j, k]: [usize; 3]) -> usize {
        i + self.shape[0] * (j + self.shape[1] * k)
    }

    /// Voxel `[i, j, k]` of the box at a place in `tissues`.
    pub(super) fn voxel(&self, at: usize) -> [usize; 3] {
        let [nx, ny, _] = self.shape;
        [at % nx, at / nx % ny, at / (nx * ny)]
    }

    /// Linear index in the grid of voxel `[i, j, k]` of the box.
    pub(super) fn grid_index(&self, voxel: [usize; 3]) -> usize {
        self.grid.index([0, 1, 2].map(|axis| voxel[axis] + self.origin[axis]))
    }

    /// Scanner position, mm, of a (fractional) voxel of the box.
    pub(super) fn position_mm(&self, voxel: [f64; 3]) -> [f64; 3] {
        self.grid.affine().to_scanner([0, 1, 2].map(|axis| voxel[axis] + self.origin[axis] as f64))
    }

    /// Takes away the cartilage that neither touches bone nor other cartilage that does, also by an
    /// edge or a corner; returns the number of its voxels.
    pub(super) fn remove_detached(&mut self) -> usize {
        let mut attached = vec![false; self.tissues.len()];
        let is = |at: usize, tissue| self.tissues[at] == tissue;
        let cartilage = || (0..self.tissues.len()).filter(|&at| is(at, Tissue::Cartilage));
        let touches_bone = |&at: &usize| self.neighbours(at).any(|b| is(b, Tissue::Bone));
        let mut front: Vec<usize> = cartilage().filter(touches_bone).collect();
        for &at in &front {
            attached[at] = true;
        }
        while let Some(at) = front.pop() {
            for neighbour in self.neighbours(at).filter(|&b| is(b, Tissue::Cartilage)) {
                if !std::mem::replace(&mut attached[neighbour], true) {
                    front.push(neighbour);
                }
            }
        }
        let detached: Vec<usize> = cartilage().filter(|&at| !attached[at]).collect();
        for &at in &detached {
            self.tissues[at] = Tissue::Background;
        }
        detached.len()
    }

    /// The up to 26 voxels around the voxel at `at`.
    fn neighbours(&self, at: usize) -> impl Iterator<Item = usize> + use<'_> {
        let voxel = self.voxel(at);
        let around = move |axis: usize| {
            voxel[axis].saturating_sub(1)..=(voxel[axis] + 1).min(self.shape[axis] - 1)
        };
        around(2)
            .flat_map(move |k| around(1).flat_map(move |j| around(0).map(move |i| [i, j, k])))
            .map(|voxel| self.index(voxel))
            .filter(move |&neighbour| neighbour != at)
    }

    /// The voxel centre nearest to `voxel` (fractional, of the box) whose tissue is `wanted`, as a
    /// place in `tissues`; `None` where there is none within `reach_mm`.
    pub(super) fn nearest(
        &self,
        voxel: [f64; 3],
        reach_mm: f64,
        wanted: impl Fn(Tissue) -> bool,
    ) -> Option<usize> {
        let spacing = self.grid.affine().spacing_mm();
        let finest = spacing.into_iter().fold(f64::INFINITY, f64::min);
        let base = voxel.map(|v| v.round() as i64);
        let mut radius = 1;
        loop {
            let range = |axis: usize| {
                let last = self.shape[axis] as i64 - 1;
                (base[axis] - radius).clamp(0, last) as usize
                    ..=(base[axis] + radius).clamp(0, last) as usize
            };
            let mut best = (f64::INFINITY, usize::MAX);
            for k in range(2) {
                for j in range(1) {
                    for i in range(0) {
                        let at = self.index([i, j, k]);
                        if !wanted(self.tissues[at]) {
                            continue;
                        }
                        let offset =
                            [i as f64 - voxel[0], j as f64 - voxel[1], k as f64 - voxel[2]];
                        let squared: f64 = (0..3).map(|a| (offset[a] * spacing[a]).powi(2)).sum();
                        if (squared, at) < best {
                            best = (squared, at);
                        }
                    }
                }
            }
            // Every voxel that was not looked at is at least this far away.
            let seen_mm = (radius as f64 + 0.5) * finest;
            if best.0.sqrt() <= seen_mm.min(reach_mm) {
                return Some(best.1);
            }
            if seen_mm >= reach_mm {
                return None;
            }
            radius += 1;
        }
    }

    /// The indicator of `wanted`, convolved with a Gaussian of `sd_voxels` along each axis.
    ///
    /// The border of the image continues as it stands.
    ///
    /// # Errors
    ///
    /// `Internal` when the box is not what its shape says.
    pub(super) fn smooth(
        &self,
        sd_voxels: [f64; 3],
        wanted: impl Fn(Tissue) -> bool,
    ) -> Result<Vec<f32>> {
        let [nx, ny, nz] = self.shape;
        let mut field: Vec<f32> =
            self.tissues.iter().map(|&tissue| if wanted(tissue) { 1.0 } else { 0.0 }).collect();
        let [along_x, along_y, along_z] = sd_voxels.map(half_kernel);
        field.par_chunks_mut(nx).for_each_init(Vec::new, |copy, row| {
            smooth_row(row, &along_x, copy);
        });
        let mut cube = ArrayViewMut3::from_shape((nz, ny, nx), &mut field)
            .map_err(|error| Error::internal(error.to_string()))?;
        cube.axis_iter_mut(Axis(0))
            .into_par_iter()
            .for_each_init(Vec::new, |copy, slice| smooth_columns(slice, &along_y, copy));
        cube.axis_iter_mut(Axis(1))
            .into_par_iter()
            .for_each_init(Vec::new, |copy, slice| smooth_columns(slice, &along_z, copy));
        Ok(field)
    }
}

/// Margin, voxels, that keeps the border of a box out of a smooth field at the cartilage.
pub(super) fn margin_voxels(sd_voxels: [f64; 3]) -> [usize; 3] {
    sd_voxels.map(|sd| half_kernel(sd).len() + 2)
}

/// Weights of a normalised sampled Gaussian at 0, 1, 2 … voxels from its centre.
fn half_kernel(sd_voxels: f64) -> Vec<f32> {
    let radius = (CUT_OFF_SD * sd_voxels).ceil() as usize;
    let weight =
        |d: usize| if d == 0 { 1.0 } else { (-0.5 * (d as f64 / sd_voxels).powi(2)).exp() };
    let total = 1.0 + 2.0 * (1..=radius).map(weight).sum::<f64>();
    (0..=radius).map(|d| (weight(d) / total) as f32).collect()
}

fn smooth_row(row: &mut [f32], half_kernel: &[f32], copy: &mut Vec<f32>) {
    let radius = half_kernel.len() - 1;
    let (Some(&first), Some(&last)) = (row.first(), row.last()) else { return };
    copy.clear();
    copy.extend(std::iter::repeat_n(first, radius));
    copy.extend_from_slice(row);
    copy.extend(std::iter::repeat_n(last, radius));
    let width = row.len();
    let shifted = |start: usize| &copy[start..start + width];
    let centre = shifted(radius).iter();
    row.iter_mut().zip(centre).for_each(|(value, centre)| *value = half_kernel[0] * centre);
    for (d, &weight) in half_kernel.iter().enumerate().skip(1) {
        let (before, after) = (shifted(radius - d), shifted(radius + d));
        for ((value, a), b) in row.iter_mut().zip(before).zip(after) {
            *value += weight * (a + b);
        }
    }
}

/// Convolves along axis 0 of `slice`, whose rows are contiguous.
fn smooth_columns(mut slice: ArrayViewMut2<'_, f32>, half_kernel: &[f32], copy: &mut Vec<f32>) {
    let (n, width) = slice.dim();
    copy.clear();
    copy.extend(slice.iter());
    let row = |q: usize| &copy[q * width..(q + 1) * width];
    for (q, mut target) in slice.rows_mut().into_iter().enumerate() {
        target.iter_mut().zip(row(q)).for_each(|(value, centre)| *value = half_kernel[0] * centre);
        for (d, &weight) in half_kernel.iter().enumerate().skip(1) {
            let (before, after) = (row(q.saturating_sub(d)), row((q + d).min(n - 1)));
            for ((value, a), b) in target.iter_mut().zip(before).zip(after) {
                *value += weight * (a + b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Affine, Volume};

    fn slab(shape: [usize; 3], inside: impl Fn([usize; 3]) -> bool) -> Mask {
        let affine = Affine::from_spacing([0.4, 0.5, 0.8], [0.0; 3]).unwrap();
        let grid = Grid::new(shape, affine).unwrap();
        Mask::new(Volume::from_fn(grid, |i| inside(grid.voxel(i))))
    }

    #[test]
    fn a_half_space_becomes_the_cumulative_normal_and_its_border_stays() {
        let cartilage = slab([24, 5, 5], |[i, _, _]| i < 12);
        let region = Region::around(&cartilage, None, [40, 5, 5]);
        let field = region.smooth([2.0, 1.5, 1.0], |t| t == Tissue::Cartilage).unwrap();
        let at = |i: usize| f64::from(field[region.index([i, 2, 2])]);
        let normal = statrs::distribution::Normal::new(0.0, 2.0).unwrap();
        for i in 4..20 {
            use statrs::distribution::ContinuousCDF;
            let exact = 1.0 - normal.cdf(i as f64 - 11.5);
            // Midpoint rule: a twenty-fourth of the steepest slope of the density, 0.242 / σ².
            assert!((at(i) - exact).abs() < 0.242 / 4.0 / 24.0, "{i}: {} {exact}", at(i));
        }
        assert!((at(0) - 1.0).abs() < 1e-5, "the border is no surface");
    }

    #[test]
    fn the_nearest_voxel_is_measured_in_millimetres() {
        let cartilage = slab([9, 9, 9], |voxel| voxel == [4, 4, 2] || voxel == [1, 4, 4]);
        let region = Region::around(&cartilage, None, [9; 3]);
        let wanted = |tissue| tissue == Tissue::Cartilage;
        // 2 × 0.8 mm away along z, 3 × 0.4 mm along x.
        let near = region.nearest([4.0, 4.0, 4.0], 3.0, wanted).unwrap();
        assert_eq!(region.voxel(near), [1, 4, 4]);
        assert_eq!(region.nearest([4.0, 4.0, 4.0], 1.0, wanted), None);
    }

    #[test]
    fn cartilage_without_a_way_to_bone_is_removed() {
        let shape = [9, 9, 9];
        let bone = slab(shape, |[i, _, _]| i == 0);
        let cartilage = slab(shape, |v| [[1, 4, 4], [2, 5, 5], [4, 5, 5], [5, 5, 5]].contains(&v));
        let mut region = Region::around(&cartilage, Some(&bone), [1; 3]);
        assert_eq!(region.remove_detached(), 2);
        let kept = region.tissues.iter().filter(|&&t| t == Tissue::Cartilage).count();
        assert_eq!((kept, region.remove_detached()), (2, 0));
    }

    #[test]
    fn a_box_is_clipped_to_the_image() {
        let cartilage = slab([9, 9, 9], |[i, j, k]| i == 0 && (3..5).contains(&j) && k == 8);
        let region = Region::around(&cartilage, None, [2, 2, 2]);
        assert_eq!((region.origin, region.shape), ([0, 1, 6], [3, 6, 3]));
        let first = region.tissues.iter().position(|&t| t == Tissue::Cartilage).unwrap();
        assert_eq!(region.grid_index(region.voxel(first)), cartilage.indices()[0]);
    }
}
