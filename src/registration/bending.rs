//! The bending energy of a spline, exactly: a quadratic form in its control points.
//!
//! `R = 1/V ∫ Σ (u_xx² + u_yy² + u_zz² + 2u_xy² + 2u_xz² + 2u_yz²) dx` over the lattice and the three
//! components of u, along the axes of the lattice, mm⁻². Each integral is a product of three banded matrices, one per axis.
//!
//! # Reference
//!
//! Rueckert et al., IEEE Trans Med Imaging 1999;18:712–721, doi:10.1109/42.796284.

use crate::image::Grid;

/// Entries to each side of the diagonal.
const BAND: usize = 3;

/// ∫ B⁽ᵈ⁾(i)·B⁽ᵈ⁾(j) along one axis divided by its length, rows of seven from i − 3 to i + 3.
type Gram = Vec<[f64; 2 * BAND + 1]>;

/// The energy of splines on one lattice.
pub(super) struct Bending {
    shape: [usize; 3],
    /// Per axis, for derivatives of order 0, 1 and 2.
    gram: [[Gram; 3]; 3],
}

impl Bending {
    pub(super) fn new(lattice: &Grid) -> Self {
        let spacing_mm = lattice.affine().spacing_mm();
        let gram = [0, 1, 2].map(|axis| {
            [0, 1, 2].map(|order| gram(lattice.shape()[axis], order, spacing_mm[axis]))
        });
        Self { shape: lattice.shape(), gram }
    }

    /// The energy of `nodes`, three displacements in mm per control point; its derivatives times
    /// `weight` are added to `gradient`.
    pub(super) fn add(&self, nodes: &[f64], weight: f64, gradient: &mut [f64]) -> f64 {
        let z = [0, 1, 2].map(|order| self.along(2, order, nodes));
        let y = |order: usize, of: usize| self.along(1, order, &z[of]);
        let straight = sum(&[(1.0, y(2, 0)), (1.0, y(0, 2)), (2.0, y(1, 1))]);
        let mixed = sum(&[(2.0, y(1, 0)), (2.0, y(0, 1))]);
        let product = sum(&[
            (1.0, self.along(0, 2, &y(0, 0))),
            (1.0, self.along(0, 0, &straight)),
            (1.0, self.along(0, 1, &mixed)),
        ]);
        let mut energy = 0.0;
        for ((gradient, product), node) in gradient.iter_mut().zip(product).zip(nodes) {
            energy += node * product;
            *gradient += 2.0 * weight * product;
        }
        energy
    }

    /// The matrix of `order` applied along `axis`.
    fn along(&self, axis: usize, order: usize, nodes: &[f64]) -> Vec<f64> {
        let stride = 3 * self.shape[..axis].iter().product::<usize>();
        let n = self.shape[axis];
        let matrix = &self.gram[axis][order];
        let mut product = vec![0.0; nodes.len()];
        for (from, to) in nodes.chunks_exact(n * stride).zip(product.chunks_exact_mut(n * stride)) {
            for (i, row) in matrix.iter().enumerate() {
                let to = &mut to[i * stride..(i + 1) * stride];
                for j in i.saturating_sub(BAND)..(i + BAND + 1).min(n) {
                    let weight = row[j + BAND - i];
                    for (to, from) in to.iter_mut().zip(&from[j * stride..(j + 1) * stride]) {
                        *to += weight * from;
                    }
                }
            }
        }
        product
    }
}

fn sum(parts: &[(f64, Vec<f64>)]) -> Vec<f64> {
    let mut sum = vec![0.0; parts.first().map_or(0, |(_, part)| part.len())];
    for (weight, part) in parts {
        for (sum, part) in sum.iter_mut().zip(part) {
            *sum += weight * part;
        }
    }
    sum
}

/// Gauss–Legendre quadrature with four points, exact for the products of two cubics.
fn gram(n_nodes: usize, order: usize, spacing_mm: f64) -> Gram {
    const POINTS: [(f64, f64); 4] = [
        (-0.861_136_311_594_052_6, 0.347_854_845_137_453_9),
        (-0.339_981_043_584_856_3, 0.652_145_154_862_546_1),
        (0.339_981_043_584_856_3, 0.652_145_154_862_546_1),
        (0.861_136_311_594_052_6, 0.347_854_845_137_453_9),
    ];
    let n_spans = n_nodes - BAND;
    let scale = spacing_mm.powi(-2 * order as i32) / n_spans as f64;
    let mut gram = vec![[0.0; 2 * BAND + 1]; n_nodes];
    for span in 0..n_spans {
        for (point, weight) in POINTS {
            let b = derivatives(f64::midpoint(point, 1.0), order);
            for i in 0..4 {
                for j in 0..4 {
                    gram[span + i][BAND + j - i] += scale * weight / 2.0 * b[i] * b[j];
                }
            }
        }
    }
    gram
}

/// Derivatives of the four weights, per node spacing.
fn derivatives(u: f64, order: usize) -> [f64; 4] {
    match order {
        0 => super::lattice::weights(u),
        1 => super::lattice::weight_slopes(u),
        _ => [1.0 - u, 3.0 * u - 2.0, 1.0 - 3.0 * u, u],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Volume;
    use crate::registration::free_form::tests::wavy;
    use crate::registration::{FreeForm, Rigid};

    fn flat(nodes: &Volume<[f64; 3]>) -> Vec<f64> {
        nodes.voxels().iter().flatten().copied().collect()
    }

    #[test]
    fn the_energy_is_the_integral_of_second_differences() {
        let (_, wavy) = wavy(2.0, 17.0);
        let nodes = wavy.displacements_mm();
        let still = Rigid::identity([0.0; 3]);
        let field = FreeForm::new(still, nodes.clone()).unwrap();
        let shape = nodes.grid().shape();
        // Midpoints of 6 cells per span, derivatives by central differences along the lattice.
        let (parts, h) = (6, 1e-3);
        let at = |s: [f64; 3]| field.deformation_mm(nodes.grid().affine().to_scanner(s));
        let counts = shape.map(|n| (n - 3) * parts);
        let mut sum = 0.0;
        for cell in 0..counts.iter().product::<usize>() {
            let place =
                [cell % counts[0], cell / counts[0] % counts[1], cell / counts[0] / counts[1]]
                    .map(|i| 1.0 + (i as f64 + 0.5) / parts as f64);
            for a in 0..3 {
                for b in 0..3 {
                    let mut second = [0.0; 3];
                    for (sa, sb) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
                        let mut p = place;
                        p[a] += sa * h / 2.0;
                        p[b] += sb * h / 2.0;
                        let u = at(p);
                        for (second, u) in second.iter_mut().zip(u) {
                            *second += sa * sb * u;
                        }
                    }
                    let scale = (h * 17.0).powi(4);
                    sum += second.iter().map(|s| s * s / scale).sum::<f64>();
                }
            }
        }
        let expected = sum / counts.iter().product::<usize>() as f64;
        let values = flat(nodes);
        let energy = Bending::new(nodes.grid()).add(&values, 1.0, &mut vec![0.0; values.len()]);
        // The midpoint rule with 6 cells per span.
        assert!((energy / expected - 1.0).abs() < 0.02, "{energy} {expected}");
    }

    #[test]
    fn a_linear_field_does_not_bend_and_the_gradient_is_the_difference() {
        let (_, wavy) = wavy(2.0, 17.0);
        let grid = *wavy.displacements_mm().grid();
        let bending = Bending::new(&grid);
        let linear = Volume::from_fn(grid, |i| {
            let p = grid.position_mm(i);
            [0.1 * p[0] - 0.2 * p[1], 0.3 * p[2] + 4.0, 0.05 * p[1]]
        });
        let values = flat(&linear);
        assert!(bending.add(&values, 1.0, &mut vec![0.0; values.len()]).abs() < 1e-12);
        let values = flat(wavy.displacements_mm());
        let mut gradient = vec![0.0; values.len()];
        bending.add(&values, 0.5, &mut gradient);
        for parameter in (0..values.len()).step_by(37) {
            let at = |by: f64| {
                let mut x = values.clone();
                x[parameter] += by;
                0.5 * bending.add(&x, 0.0, &mut vec![0.0; x.len()])
            };
            let difference = (at(1e-3) - at(-1e-3)) / 2e-3;
            assert!((difference - gradient[parameter]).abs() < 1e-9);
        }
    }
}
