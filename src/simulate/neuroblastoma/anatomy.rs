//! A child's abdomen in scanner millimetres: body, aorta, and a lobulated tumour whose viable and
//! contaminant parts lie in clusters.

use crate::image::Grid;
use crate::random::StreamKey;

/// What stands at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tissue {
    Air,
    Muscle,
    Aorta,
    Tumour,
}

const AORTA_CENTRE_MM: [f64; 2] = [14.0, -36.0];
const AORTA_RADIUS_MM: f64 = 8.0;
/// Each of three lobes moves the surface by up to this fraction of its radius.
const LOBE_HEIGHT: f64 = 0.04;
const N_WAVES: usize = 24;
const SHORTEST_WAVE_MM: f64 = 16.0;
const LONGEST_WAVE_MM: f64 = 34.0;

#[derive(Debug, Clone, Copy)]
struct Wave {
    vector: [f64; 3],
    phase: f64,
}

impl Wave {
    fn at(&self, position: [f64; 3]) -> f64 {
        let dot: f64 = self.vector.iter().zip(position).map(|(k, x)| k * x).sum();
        (dot + self.phase).cos()
    }
}

/// One participant.
#[derive(Debug, Clone)]
pub(super) struct Anatomy {
    body_semi_axes_mm: [f64; 2],
    centre_mm: [f64; 3],
    semi_axes_mm: [f64; 3],
    lobes: Vec<Wave>,
    texture: Vec<Wave>,
}

impl Anatomy {
    /// The anatomy named by `key`, with tumour semi-axes near `semi_axes_mm`.
    pub(super) fn new(key: StreamKey, semi_axes_mm: [f64; 3]) -> Self {
        let mut stream = key.stream(0, 0);
        let mut between = |low: f64, high: f64| low + (high - low) * stream.uniform();
        let centre_mm = [between(-12.0, 12.0), between(3.0, 9.0), between(-0.5, 0.5)];
        let semi_axes_mm = [
            semi_axes_mm[0] * between(1.0, 1.06),
            semi_axes_mm[1] * between(1.0, 1.06),
            semi_axes_mm[2],
        ];
        let body_semi_axes_mm = [between(70.0, 74.0), between(56.0, 60.0)];
        let mut wave = |low: f64, high: f64| {
            let length = low + (high - low) * stream.uniform();
            let vector = direction(&mut stream).map(|u| u * std::f64::consts::TAU / length);
            Wave { vector, phase: std::f64::consts::TAU * stream.uniform() }
        };
        // On the unit sphere a wave of length 2.5 makes one or two lobes per face.
        let lobes = (0..3).map(|_| wave(2.5, 2.5)).collect();
        let texture = (0..N_WAVES).map(|_| wave(SHORTEST_WAVE_MM, LONGEST_WAVE_MM)).collect();
        Self { body_semi_axes_mm, centre_mm, semi_axes_mm, lobes, texture }
    }

    /// The tissue at a scanner position.
    pub(super) fn tissue(&self, position_mm: [f64; 3]) -> Tissue {
        let [x, y, _] = position_mm;
        let [a, b] = self.body_semi_axes_mm;
        if (x / a).powi(2) + (y / b).powi(2) >= 1.0 {
            return Tissue::Air;
        }
        if self.relative_depth(position_mm) < 1.0 {
            return Tissue::Tumour;
        }
        let (u, v) = (x - AORTA_CENTRE_MM[0], y - AORTA_CENTRE_MM[1]);
        if u.hypot(v) < AORTA_RADIUS_MM { Tissue::Aorta } else { Tissue::Muscle }
    }

    /// Distance from the tumour's centre over that of its surface in the same direction.
    fn relative_depth(&self, position_mm: [f64; 3]) -> f64 {
        let q = [0, 1, 2].map(|a| (position_mm[a] - self.centre_mm[a]) / self.semi_axes_mm[a]);
        let radius = (q[0] * q[0] + q[1] * q[1] + q[2] * q[2]).sqrt();
        if radius < 1e-9 {
            return 0.0;
        }
        let unit = q.map(|component| component / radius);
        let lobes: f64 = self.lobes.iter().map(|lobe| lobe.at(unit)).sum();
        radius / (1.0 + LOBE_HEIGHT * lobes)
    }

    /// Tendency to be contaminant: smooth in space, higher towards the centre.
    fn contamination(&self, position_mm: [f64; 3]) -> f64 {
        let texture: f64 = self.texture.iter().map(|wave| wave.at(position_mm)).sum();
        texture / (N_WAVES as f64 / 2.0).sqrt() - 1.5 * self.relative_depth(position_mm)
    }

    /// Splits the tumour's voxels on `grid` into (viable, contaminant), each in rising order, so
    /// that `fraction` of them, rounded to whole voxels, is contaminant.
    pub(super) fn split_tumour(&self, grid: &Grid, fraction: f64) -> (Vec<usize>, Vec<usize>) {
        let mut tumour: Vec<(f64, usize)> = (0..grid.n_voxels())
            .map(|voxel| (voxel, grid.position_mm(voxel)))
            .filter(|&(_, position)| self.tissue(position) == Tissue::Tumour)
            .map(|(voxel, position)| (self.contamination(position), voxel))
            .collect();
        tumour.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let n_contaminant = (fraction * tumour.len() as f64).round() as usize;
        let sorted = |part: &[(f64, usize)]| {
            let mut voxels: Vec<usize> = part.iter().map(|&(_, voxel)| voxel).collect();
            voxels.sort_unstable();
            voxels
        };
        let (contaminant, viable) = tumour.split_at(n_contaminant.min(tumour.len()));
        (sorted(viable), sorted(contaminant))
    }
}

/// A direction uniform on the sphere.
fn direction(stream: &mut crate::random::Stream) -> [f64; 3] {
    let height = 2.0 * stream.uniform() - 1.0;
    let (sine, cosine) = (std::f64::consts::TAU * stream.uniform()).sin_cos();
    let ring = (1.0 - height * height).sqrt();
    [ring * cosine, ring * sine, height]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Affine;

    fn grid() -> Grid {
        let affine = Affine::from_spacing([3.0; 3], [-78.0, -78.0, -36.0]).unwrap();
        Grid::new([53, 53, 25], affine).unwrap()
    }

    #[test]
    fn tumour_volume_is_near_that_of_its_ellipsoid() {
        let anatomy = Anatomy::new(StreamKey::new(2, "sub-01"), [33.0, 28.0, 21.0]);
        let (viable, contaminant) = anatomy.split_tumour(&grid(), 0.4);
        let volume = (viable.len() + contaminant.len()) as f64 * 27.0;
        let [a, b, c] = anatomy.semi_axes_mm;
        let ellipsoid = 4.0 / 3.0 * std::f64::consts::PI * a * b * c;
        assert!((volume / ellipsoid - 1.0).abs() < 0.15, "{volume} {ellipsoid}");
        let n = (viable.len() + contaminant.len()) as f64;
        assert!((contaminant.len() as f64 - 0.4 * n).abs() <= 0.5);
    }

    /// With voxels assigned at random, a neighbour of a contaminant voxel would be contaminant as
    /// often as any other voxel, 0.4.
    #[test]
    fn contaminant_lies_in_clusters() {
        let grid = grid();
        let anatomy = Anatomy::new(StreamKey::new(2, "sub-01"), [33.0, 28.0, 21.0]);
        let (viable, contaminant) = anatomy.split_tumour(&grid, 0.4);
        let neighbours = |set: &[usize]| {
            contaminant.iter().filter(|&voxel| set.binary_search(&(voxel + 1)).is_ok()).count()
        };
        let (same, other) = (neighbours(&contaminant), neighbours(&viable));
        assert!(same as f64 > 0.7 * (same + other) as f64, "{same} {other}");
    }
}
