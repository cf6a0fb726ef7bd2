//! Triangulated iso-surfaces.
//!
//! Every cell of eight voxel centres is cut into six tetrahedra around its diagonal; the surface
//! crosses an edge where the linear interpolation of the field is 0.5. No case is ambiguous, so
//! the surface is watertight inside the box and open at its border.
//!
//! # Reference
//!
//! Doi and Koide, "An efficient method of triangulating equi-valued surfaces by using tetrahedral
//! cells", IEICE Transactions E74 (1991) 214–224.

use rayon::prelude::*;

use super::region::Region;

/// The value of a smooth indicator on the surface.
const LEVEL: f32 = 0.5;

/// Corners of a cell as bits x, y, z; each tetrahedron climbs from corner 0 to corner 7.
const TETRAHEDRA: [[usize; 4]; 6] =
    [[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]];

/// A triangulated surface in scanner space.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Surface {
    /// Positions of the vertices, scanner mm (RAS+).
    pub vertices_mm: Vec<[f64; 3]>,
    /// Vertices of each triangle, anticlockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
    /// Area that each vertex stands for, mm²: a third of the triangles that met there before the
    /// surface was cut.
    pub vertex_areas_mm2: Vec<f64>,
}

impl Surface {
    /// Sum of the vertex areas, mm².
    pub fn area_mm2(&self) -> f64 {
        self.vertex_areas_mm2.iter().sum()
    }

    /// Whether there is no vertex.
    pub fn is_empty(&self) -> bool {
        self.vertices_mm.is_empty()
    }

    /// The vertices that `keep` names, in order, and the triangles between them.
    pub(super) fn patch(&self, keep: &[bool]) -> Self {
        let mut renumbered = vec![u32::MAX; keep.len()];
        let mut patch = Self::default();
        for vertex in (0..keep.len()).filter(|&vertex| keep[vertex]) {
            renumbered[vertex] = patch.vertices_mm.len() as u32;
            patch.vertices_mm.push(self.vertices_mm[vertex]);
            patch.vertex_areas_mm2.push(self.vertex_areas_mm2[vertex]);
        }
        let triangles = self.triangles.iter().map(|t| t.map(|vertex| renumbered[vertex as usize]));
        patch.triangles = triangles.filter(|t| !t.contains(&u32::MAX)).collect();
        patch
    }

    /// Moves each vertex by `by_mm` along its normal; one without a normal (NaN) stays.
    pub(super) fn displace(&mut self, normals: &[[f64; 3]], by_mm: &[f64]) {
        for ((vertex, normal), by_mm) in self.vertices_mm.iter_mut().zip(normals).zip(by_mm) {
            if normal.iter().all(|x| x.is_finite()) {
                (0..3).for_each(|axis| vertex[axis] += by_mm * normal[axis]);
            }
        }
    }

    /// Outward unit normal at each vertex by the triangles of the surface; NaN where none meets.
    pub(super) fn normals(&self) -> Vec<[f64; 3]> {
        self.outward_mm2().into_iter().map(unit).collect()
    }

    /// Sum of the doubled areas around each vertex, along its outward normal, mm².
    fn outward_mm2(&self) -> Vec<[f64; 3]> {
        let mut outward = vec![[0.0; 3]; self.vertices_mm.len()];
        for &triangle in &self.triangles {
            let area = self.doubled_area_mm2(triangle);
            for vertex in triangle {
                let sum = &mut outward[vertex as usize];
                (0..3).for_each(|axis| sum[axis] += area[axis]);
            }
        }
        outward
    }

    /// Twice the area of a triangle, along its outward normal, mm².
    fn doubled_area_mm2(&self, triangle: [u32; 3]) -> [f64; 3] {
        let [a, b, c] = triangle.map(|vertex| self.vertices_mm[vertex as usize]);
        cross(difference(b, a), difference(c, a))
    }
}

/// A [`Surface`] with what its extraction knew of each vertex.
pub(super) struct IsoSurface {
    pub(super) surface: Surface,
    /// Position of each vertex in (fractional) voxels of the box.
    pub(super) voxels: Vec<[f64; 3]>,
    /// Whether the vertex lies on the border of the box, where the surface ends.
    pub(super) on_border: Vec<bool>,
}

impl IsoSurface {
    /// The surface where `field`, one value per voxel of `region`, is 0.5; empty where it is not.
    pub(super) fn extract(region: &Region, field: &[f32]) -> Self {
        debug_assert_eq!(field.len(), region.tissues.len());
        let crossings = Crossings::find(region.shape, field);
        let cuts = Cut::all();
        let [_, _, nz] = region.shape;
        let triangles: Vec<Vec<[u32; 3]>> = (0..nz.saturating_sub(1))
            .into_par_iter()
            .map(|k| crossings.triangles_of_layer(&cuts, field, k))
            .collect();
        let voxels: Vec<[f64; 3]> =
            crossings.edges.iter().map(|&edge| crossing(region, field, edge)).collect();
        let mut surface = Surface {
            vertices_mm: voxels.iter().map(|&voxel| region.position_mm(voxel)).collect(),
            triangles: triangles.concat(),
            vertex_areas_mm2: vec![0.0; voxels.len()],
        };
        if is_left_handed(region.grid.affine().matrix()) {
            surface.triangles.iter_mut().for_each(|triangle| triangle.swap(1, 2));
        }
        for at in 0..surface.triangles.len() {
            let triangle = surface.triangles[at];
            let third = norm(surface.doubled_area_mm2(triangle)) / 6.0;
            for vertex in triangle {
                surface.vertex_areas_mm2[vertex as usize] += third;
            }
        }
        let on_border = crossings.edges.iter().map(|&edge| is_on_border(region, edge)).collect();
        Self { surface, voxels, on_border }
    }

    /// Sum of the doubled areas around each vertex, along its outward normal, mm².
    pub(super) fn outward_mm2(&self) -> Vec<[f64; 3]> {
        self.surface.outward_mm2()
    }
}

/// An edge of the lattice of voxel centres: eight times the place of its lower end, plus its
/// direction as bits x, y, z.
type Edge = usize;

/// The edges that the surface crosses, rising.
struct Crossings {
    edges: Vec<Edge>,
    /// Where the edges of each row of voxels begin in `edges`.
    row_starts: Vec<usize>,
    shape: [usize; 3],
}

impl Crossings {
    fn find(shape: [usize; 3], field: &[f32]) -> Self {
        let [nx, ny, nz] = shape;
        let rows: Vec<Vec<Edge>> = (0..ny * nz)
            .into_par_iter()
            .map(|row| {
                // Directions that leave the box are not looked at.
                let last_y = if row % ny + 1 == ny { !0b1100_1100 } else { !0 };
                let last_z = if row / ny + 1 == nz { !0b1111_0000 } else { !0 };
                let mut edges = Vec::new();
                for (i, corners) in corners_of_row(shape, field, row).enumerate() {
                    let last_x = if i + 1 == nx { !0b1010_1010 } else { !0 };
                    let other = if corners & 1 == 1 { !corners } else { corners };
                    let crossed: u8 = other & last_x & last_y & last_z;
                    let directions = (1..8).filter(|direction| crossed >> direction & 1 == 1);
                    if crossed != 0 {
                        edges.extend(directions.map(|direction| 8 * (i + nx * row) + direction));
                    }
                }
                edges
            })
            .collect();
        let mut row_starts = vec![0];
        for row in &rows {
            row_starts.push(row_starts[row_starts.len() - 1] + row.len());
        }
        Self { edges: rows.concat(), row_starts, shape }
    }

    /// The vertex on an edge that is crossed.
    fn vertex(&self, edge: Edge) -> u32 {
        let row = edge / 8 / self.shape[0];
        let start = self.row_starts[row];
        let edges = &self.edges[start..self.row_starts[row + 1]];
        (start + edges.partition_point(|&other| other < edge)) as u32
    }

    /// The triangles of the cells between slices `k` and `k + 1`.
    fn triangles_of_layer(&self, cuts: &[Cut], field: &[f32], k: usize) -> Vec<[u32; 3]> {
        let [nx, ny, _] = self.shape;
        let mut triangles = Vec::new();
        for row in (0..ny - 1).map(|j| j + ny * k) {
            for (i, corners) in corners_of_row(self.shape, field, row).take(nx - 1).enumerate() {
                if corners != 0 && corners != 0xFF {
                    for cut in cuts.iter().filter(|cut| cut.applies_to(corners)) {
                        self.add_triangles(i + nx * row, cut, &mut triangles);
                    }
                }
            }
        }
        triangles
    }

    fn add_triangles(&self, base: usize, cut: &Cut, triangles: &mut Vec<[u32; 3]>) {
        let vertex = |&(low, high): &(usize, usize)| {
            self.vertex(8 * (base + offset(self.shape, low)) + (high ^ low))
        };
        let mut ring = cut.ring.iter().map(vertex);
        if let (Some(first), Some(mut before)) = (ring.next(), ring.next()) {
            for after in ring {
                triangles.push([first, before, after]);
                before = after;
            }
        }
    }
}

/// How the surface cuts one tetrahedron whose inside corners are known.
struct Cut {
    /// The corners of the tetrahedron, and those of them that are inside, as bits of the cell.
    corners: u8,
    inside: u8,
    /// The three or four edges that are crossed, anticlockwise seen from outside.
    ring: Vec<(usize, usize)>,
}

impl Cut {
    /// All ways to cut the six tetrahedra of a cell.
    fn all() -> Vec<Self> {
        let cuts = TETRAHEDRA.iter().flat_map(|t| (1..15).map(|inside| Self::new(*t, inside)));
        cuts.collect()
    }

    /// `inside` tells by its bits which of the four corners are inside.
    fn new(tetrahedron: [usize; 4], inside: usize) -> Self {
        let (within, without): (Vec<_>, Vec<_>) =
            (0..4).partition(|&corner| inside >> corner & 1 == 1);
        let [within, without] = [within, without]
            .map(|corners: Vec<usize>| corners.iter().map(|&c| tetrahedron[c]).collect::<Vec<_>>());
        let mut ring: Vec<(usize, usize)> = match (within.as_slice(), without.as_slice()) {
            (&[a, b], &[c, d]) => vec![(a, c), (b, c), (b, d), (a, d)],
            (within, without) => {
                within.iter().flat_map(|&a| without.iter().map(move |&b| (a, b))).collect()
            }
        };
        let outward = difference(centre(&without), centre(&within));
        let [p, q, r] = [0, 1, 2].map(|at| centre(&[ring[at].0, ring[at].1]));
        if dot(cross(difference(q, p), difference(r, p)), outward) < 0.0 {
            ring.reverse();
        }
        let bits = |corners: &[usize]| corners.iter().fold(0_u8, |bits, corner| bits | 1 << corner);
        Self {
            corners: bits(&tetrahedron),
            inside: bits(&within),
            ring: ring.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect(),
        }
    }

    fn applies_to(&self, inside: u8) -> bool {
        inside & self.corners == self.inside
    }
}

fn is_inside(value: f32) -> bool {
    value >= LEVEL
}

/// For each voxel of a row, which corners of the cell above it are inside, as bits; beyond the box
/// the last voxel counts once more.
fn corners_of_row([nx, ny, nz]: [usize; 3], field: &[f32], row: usize) -> impl Iterator<Item = u8> {
    let next_y = usize::from(row % ny + 1 < ny);
    let next_z = if row / ny + 1 < nz { ny } else { 0 };
    let rows = [row, row + next_y, row + next_z, row + next_y + next_z]
        .map(|row| &field[row * nx..(row + 1) * nx]);
    let face = move |i: usize| {
        let bit = |corner: usize| u8::from(is_inside(rows[corner][i])) << (2 * corner);
        bit(0) | bit(1) | bit(2) | bit(3)
    };
    let mut below = face(0);
    (0..nx).map(move |i| {
        let above = face((i + 1).min(nx - 1));
        let corners = below | above << 1;
        below = above;
        corners
    })
}

/// Step in the linear index from a corner of a cell to the one that `bits` name.
fn offset([nx, ny, _]: [usize; 3], bits: usize) -> usize {
    (bits & 1) + nx * ((bits >> 1 & 1) + ny * (bits >> 2 & 1))
}

/// Mean position of corners of a cell, in voxels.
fn centre(corners: &[usize]) -> [f64; 3] {
    [0, 1, 2].map(|axis| {
        corners.iter().map(|corner| (corner >> axis & 1) as f64).sum::<f64>() / corners.len() as f64
    })
}

/// Where the field is 0.5 on an edge, in voxels of the box.
fn crossing(region: &Region, field: &[f32], edge: Edge) -> [f64; 3] {
    let (at, direction) = (edge / 8, edge % 8);
    let low = f64::from(field[at]);
    let high = f64::from(field[at + offset(region.shape, direction)]);
    let fraction = (f64::from(LEVEL) - low) / (high - low);
    let voxel = region.voxel(at);
    [0, 1, 2].map(|axis| voxel[axis] as f64 + fraction * (direction >> axis & 1) as f64)
}

/// Whether the voxel axes mirror space, which turns every triangle over.
fn is_left_handed(matrix: &[[f64; 4]; 3]) -> bool {
    let [x, y, z] = [0, 1, 2].map(|axis| matrix.map(|row| row[axis]));
    dot(cross(x, y), z) < 0.0
}

fn is_on_border(region: &Region, edge: Edge) -> bool {
    let voxel = region.voxel(edge / 8);
    (0..3).any(|axis| {
        edge >> axis & 1 == 0 && (voxel[axis] == 0 || voxel[axis] + 1 == region.shape[axis])
    })
}

/// `a` with length 1; NaN where it has none.
pub(super) fn unit(a: [f64; 3]) -> [f64; 3] {
    let length = norm(a);
    a.map(|x| x / length)
}

pub(super) fn difference(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(super) fn norm(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Affine, Grid, Mask, Volume};

    const SPACING_MM: [f64; 3] = [0.4, 0.5, 0.8];

    /// A ball around the origin in a box that mirrors x when told so.
    fn region(mirror: f64, half_size: usize) -> Region {
        let shape = [2 * half_size + 1; 3];
        let half = half_size as f64;
        let spacing = [mirror * SPACING_MM[0], SPACING_MM[1], SPACING_MM[2]];
        let affine = Affine::from_spacing(spacing, spacing.map(|s| -s * half)).unwrap();
        Region::around(
            &Mask::new(Volume::from_fn(Grid::new(shape, affine).unwrap(), |_| true)),
            None,
            [0; 3],
        )
    }

    fn ball(region: &Region, radius_mm: f64) -> IsoSurface {
        let field: Vec<f32> = (0..region.tissues.len())
            .map(|at| {
                let position = region.position_mm(region.voxel(at).map(|i| i as f64));
                (0.5 + 0.1 * (radius_mm - norm(position))) as f32
            })
            .collect();
        IsoSurface::extract(region, &field)
    }

    fn enclosed_volume_mm3(surface: &Surface) -> f64 {
        let volume = |&[a, b, c]: &[u32; 3]| {
            let [a, b, c] = [a, b, c].map(|vertex| surface.vertices_mm[vertex as usize]);
            dot(a, cross(b, c)) / 6.0
        };
        surface.triangles.iter().map(volume).sum()
    }

    #[test]
    fn a_ball_has_its_area_its_volume_and_its_outside() {
        for mirror in [1.0, -1.0] {
            let IsoSurface { surface, on_border, .. } = ball(&region(mirror, 20), 5.0);
            let (area, volume) = (100.0 * std::f64::consts::PI, 523.598_775_6);
            // Chords of 0.4–0.8 mm voxels on a radius of 5 mm.
            assert!((surface.area_mm2() / area - 1.0).abs() < 0.01, "{}", surface.area_mm2());
            assert!((enclosed_volume_mm3(&surface) / volume - 1.0).abs() < 0.01);
            assert!(!on_border.contains(&true));
            // Sagitta over the diagonal of a voxel, 1.05 mm² / 8 R.
            assert!(surface.vertices_mm.iter().all(|&v| (norm(v) - 5.0).abs() < 0.027));
        }
    }

    #[test]
    fn a_closed_surface_is_watertight_and_a_cut_one_ends_on_the_border() {
        let closed = ball(&region(1.0, 20), 5.0);
        let mut edges: Vec<(u32, u32)> = closed
            .surface
            .triangles
            .iter()
            .flat_map(|&[a, b, c]| [(a, b), (b, c), (c, a)])
            .collect();
        let vertices = closed.surface.vertices_mm.len() as i64;
        let euler = vertices - edges.len() as i64 / 2 + closed.surface.triangles.len() as i64;
        assert_eq!(euler, 2);
        edges.sort_unstable();
        // Each directed edge once, and its reverse once.
        assert!(edges.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(edges.iter().all(|&(a, b)| edges.binary_search(&(b, a)).is_ok()));

        let cut = ball(&region(1.0, 8), 5.0);
        assert!(cut.on_border.contains(&true) && cut.on_border.contains(&false));
    }

    #[test]
    fn a_patch_keeps_areas_and_whole_triangles_only() {
        let IsoSurface { surface, .. } = ball(&region(1.0, 20), 5.0);
        let upper: Vec<bool> = surface.vertices_mm.iter().map(|v| v[2] > 0.0).collect();
        let patch = surface.patch(&upper);
        let lower: Vec<bool> = upper.iter().map(|upper| !upper).collect();
        let sum = patch.area_mm2() + surface.patch(&lower).area_mm2();
        assert!((sum / surface.area_mm2() - 1.0).abs() < 1e-12);
        assert!(patch.triangles.len() < surface.triangles.len());
        assert!(patch.triangles.iter().flatten().all(|&v| (v as usize) < patch.vertices_mm.len()));
        assert!(surface.patch(&vec![false; upper.len()]).is_empty());
    }
}
