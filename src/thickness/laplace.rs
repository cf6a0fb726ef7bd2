//! Thickness along the field lines of a potential between both surfaces.
//!
//! `∇²ψ = 0` with ψ = 0 on the interface, 1 on the articular surface and no flux through the border
//! of the image. Steps that end at a surface have their sub-voxel length, so that the equation is
//! that of Shortley and Weller on voxel centres; it is solved by successive over-relaxation. The
//! lengths from bone and from joint follow from `∇ψ/|∇ψ| · ∇L₀ = 1` and `−∇ψ/|∇ψ| · ∇L₁ = 1` by
//! differences against the direction they come from; thickness is `L₀ + L₁`.
//!
//! # Reference
//!
//! Jones, Buchbinder and Aharon, "Three-dimensional mapping of cortical thickness using Laplace's
//! equation", Human Brain Mapping 11 (2000) 12–32,
//! `doi:10.1002/1097-0193(200009)11:1<12::AID-HBM20>3.0.CO;2-K`. Yezzi and Prince, "An Eulerian PDE
//! approach for computing tissue thickness", IEEE Transactions on Medical Imaging 22 (2003)
//! 1332–1339, doi:10.1109/TMI.2003.817775. Sub-voxel boundaries: Acosta et al., Medical Image
//! Analysis 13 (2009) 730–743, doi:10.1016/j.media.2009.07.003.

use rayon::prelude::*;

use super::interface::Surfaces;
use super::layer::{End, Layer, Nodes, Step};
use super::nearest::PointIndex;
use crate::error::{Error, Result};

/// Over-relaxation for layers a few voxels thick.
const RELAXATION: f64 = 1.5;
/// The potential is done when no voxel changes by more than this in a sweep.
const POTENTIAL_CHANGE: f64 = 1e-5;
/// The lengths are done when no voxel changes by more than this in a sweep, mm.
const LENGTH_CHANGE_MM: f64 = 1e-6;
/// Sweeps after which there is no solution.
const SWEEPS_MAX: usize = 10_000;

/// Length of the field line at each articular vertex, mm; NaN where no voxel centre between the
/// surfaces is near.
///
/// # Errors
///
/// `Value` when the potential does not settle.
pub(super) fn thickness(layer: &Layer, surfaces: &Surfaces) -> Result<Vec<f64>> {
    let nodes = layer.nodes(surfaces);
    let potential = potential(&nodes)?;
    let tangents: Vec<[f64; 3]> =
        (0..potential.len()).map(|node| tangent(&nodes, &potential, node)).collect();
    let mut order: Vec<usize> = (0..potential.len()).collect();
    order.sort_by(|&a, &b| potential[a].total_cmp(&potential[b]).then(a.cmp(&b)));
    let from_bone = lengths(&nodes, &tangents, &order, End::Bone);
    order.reverse();
    let from_joint = lengths(&nodes, &tangents, &order, End::Joint);
    let index = PointIndex::new(&nodes.positions_mm);
    let spacing_mm = layer.region.grid.affine().spacing_mm();
    let reach_mm2 = spacing_mm.iter().map(|s| s * s).sum::<f64>();
    let at = |&vertex: &[f64; 3]| match index.nearest_within(vertex, reach_mm2) {
        Some(nearest) => from_bone[nearest.id] + from_joint[nearest.id],
        None => f64::NAN,
    };
    Ok(surfaces.articular.vertices_mm.par_iter().map(at).collect())
}

/// One equation: the value is the weighted mean of its neighbours and the surfaces.
struct Equation {
    neighbours: [(usize, f64); 6],
    n_neighbours: usize,
    constant: f64,
}

impl Equation {
    /// `None` where a voxel has no neighbour at all.
    fn new(steps: &[[Step; 2]; 3]) -> Option<Self> {
        let mut equation = Self { neighbours: [(0, 0.0); 6], n_neighbours: 0, constant: 0.0 };
        let mut total = 0.0;
        for [down, up] in steps {
            for step in [down, up] {
                let weight = (step.length_mm * (down.length_mm + up.length_mm)).recip();
                match step.end {
                    End::Border => continue,
                    End::Bone => {}
                    End::Joint => equation.constant += weight,
                    End::Node(node) => {
                        equation.neighbours[equation.n_neighbours] = (node, weight);
                        equation.n_neighbours += 1;
                    }
                }
                total += weight;
            }
        }
        equation.constant /= total;
        equation.neighbours.iter_mut().for_each(|(_, weight)| *weight /= total);
        (total > 0.0).then_some(equation)
    }

    fn mean(&self, values: &[f64]) -> f64 {
        let neighbours = &self.neighbours[..self.n_neighbours];
        neighbours.iter().fold(self.constant, |sum, &(node, weight)| sum + weight * values[node])
    }
}

fn potential(nodes: &Nodes) -> Result<Vec<f64>> {
    let equations: Vec<Option<Equation>> = nodes.steps.iter().map(Equation::new).collect();
    let mut values = vec![0.5; equations.len()];
    for _ in 0..SWEEPS_MAX {
        let mut largest = 0.0_f64;
        for (node, equation) in equations.iter().enumerate() {
            let Some(equation) = equation else { continue };
            let change = RELAXATION * (equation.mean(&values) - values[node]);
            values[node] += change;
            largest = largest.max(change.abs());
        }
        if largest < POTENTIAL_CHANGE {
            return Ok(values);
        }
    }
    Err(Error::value(format!("the potential between bone and joint moved for {SWEEPS_MAX} sweeps"))
        .hint("use `edt_subvoxel`, which needs no iteration"))
}

/// Direction of the gradient along the voxel axes; 0 where there is none.
fn tangent(nodes: &Nodes, potential: &[f64], node: usize) -> [f64; 3] {
    let own = potential[node];
    let value = |step: &Step| match step.end {
        End::Node(other) => potential[other],
        End::Bone => 0.0,
        End::Joint => 1.0,
        End::Border => own,
    };
    let gradient = nodes.steps[node].map(|[down, up]| {
        let (below, above) =
            ((own - value(&down)) / down.length_mm, (value(&up) - own) / up.length_mm);
        (below * up.length_mm + above * down.length_mm) / (down.length_mm + up.length_mm)
    });
    let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    if norm > 0.0 { gradient.map(|g| g / norm) } else { [0.0; 3] }
}

/// Length along the tangents from the surface `origin`, mm; `order` puts voxels that it reaches first
/// in front. NaN where no way leads to the surface.
fn lengths(nodes: &Nodes, tangents: &[[f64; 3]], order: &[usize], origin: End) -> Vec<f64> {
    let backward = if origin == End::Bone { 1.0 } else { -1.0 };
    let mut lengths_mm = vec![f64::NAN; order.len()];
    for _ in 0..SWEEPS_MAX {
        let mut largest = 0.0_f64;
        for &node in order {
            let (mut sum, mut weights) = (1.0, 0.0);
            for (tangent, steps) in tangents[node].iter().zip(&nodes.steps[node]) {
                let tangent = backward * tangent;
                let step = steps[usize::from(tangent < 0.0)];
                let weight = tangent.abs() / step.length_mm;
                let before = match step.end {
                    End::Node(other) => lengths_mm[other],
                    end if end == origin => 0.0,
                    _ => f64::NAN,
                };
                if !before.is_nan() {
                    sum += weight * before;
                    weights += weight;
                }
            }
            if weights > 0.0 {
                let length_mm = sum / weights;
                let change = (length_mm - lengths_mm[node]).abs();
                largest = largest.max(if change.is_nan() { length_mm } else { change });
                lengths_mm[node] = length_mm;
            }
        }
        if largest < LENGTH_CHANGE_MM {
            break;
        }
    }
    lengths_mm
}
