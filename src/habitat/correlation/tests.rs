use super::*;
use crate::image::{Affine, Grid, Volume};
use crate::random::StreamKey;

/// A ball that fills a cube of `edge` voxels.
fn ball(edge: usize) -> Mask {
    let affine = Affine::from_spacing([1.0, 1.0, 2.0], [0.0; 3]).unwrap();
    let grid = Grid::new([edge; 3], affine).unwrap();
    let centre = (edge as f64 - 1.0) / 2.0;
    Mask::new(Volume::from_fn(grid, |index| {
        let distance = grid.voxel(index).map(|place| (place as f64 - centre).powi(2));
        distance.iter().sum::<f64>() <= (edge as f64 / 2.0).powi(2)
    }))
}

fn gaussian_kernel(sd: f64) -> Vec<f64> {
    let reach = (5.0 * sd).ceil() as i32;
    (-reach..=reach).map(|i| (-0.5 * (f64::from(i) / sd).powi(2)).exp()).collect()
}

/// White noise on a cube, smoothed by one kernel per axis over its wrapped edges.
fn smooth_noise(seed: u64, edge: usize, kernels: [&[f64]; 3]) -> Vec<f64> {
    let key = StreamKey::new(seed, "smooth noise");
    let mut field: Vec<f64> = (0..edge.pow(3)).map(|i| key.stream(i, 0).normal()).collect();
    for (axis, kernel) in kernels.iter().enumerate() {
        let stride = edge.pow(axis as u32);
        let shifted = |index: usize, tap: usize| {
            let place = index / stride % edge;
            index - place * stride + (place + tap) % edge * stride
        };
        field = (0..field.len())
            .map(|index| {
                let taps = kernel.iter().enumerate();
                taps.map(|(tap, weight)| weight * field[shifted(index, tap)]).sum()
            })
            .collect();
    }
    field
}

/// (Σg)²/Σg².
fn analytic(kernel: &[f64]) -> f64 {
    kernel.iter().sum::<f64>().powi(2) / kernel.iter().map(|g| g * g).sum::<f64>()
}

fn on_ball(edge: usize, field: &[f64]) -> (Mask, Vec<f64>, Vec<u8>) {
    let mask = ball(edge);
    let values = mask.indices().iter().map(|&index| field[index]).collect();
    let labels = vec![1; mask.len()];
    (mask, values, labels)
}

fn mean_over_seeds(edge: usize, kernels: [&[f64]; 3]) -> f64 {
    let n_seeds = 10;
    let total: f64 = (0..n_seeds)
        .map(|seed| {
            let field = smooth_noise(seed, edge, kernels);
            let (mask, values, labels) = on_ball(edge, &field);
            voxels_per_independent_value(&mask, &values, &labels).unwrap()
        })
        .sum();
    total / n_seeds as f64
}

#[test]
fn white_noise_is_independent() {
    let one: &[f64] = &[1.0];
    let found = mean_over_seeds(20, [one; 3]);
    assert!((1.0..1.03).contains(&found), "{found}");
}

#[test]
fn smoothed_noise_has_the_number_of_its_kernel() {
    let (narrow, wide) = (gaussian_kernel(0.6), gaussian_kernel(1.0));
    // The sum over whole voxels is 2√π·s but for a few thousandths.
    let number = 2.0 * std::f64::consts::PI.sqrt();
    assert!((analytic(&wide) - number).abs() < 1e-3 * number);
    for (edge, kernels) in [
        (24, [&wide[..], &wide, &[1.0]]),
        (24, [&narrow, &narrow, &narrow]),
        (32, [&wide, &wide, &wide]),
    ] {
        let expected: f64 = kernels.iter().map(|kernel| analytic(kernel)).product();
        let found = mean_over_seeds(edge, kernels);
        assert!((found / expected - 1.0).abs() < 0.1, "{found} is not {expected}");
    }
}

#[test]
fn habitats_of_other_means_and_spreads_do_not_correlate() {
    // Two halves with means far apart and SDs of one to ten: white within.
    let field = smooth_noise(3, 20, [&[1.0]; 3]);
    let (mask, mut values, mut labels) = on_ball(20, &field);
    for (position, (value, label)) in values.iter_mut().zip(&mut labels).enumerate() {
        if position % 7 < 3 || position > mask.len() / 2 {
            (*value, *label) = (50.0 + 10.0 * *value, 2);
        }
    }
    let found = voxels_per_independent_value(&mask, &values, &labels).unwrap();
    assert!((1.0..1.06).contains(&found), "{found}");
    // Taken for one habitat, its shape is correlation.
    let one = vec![1; labels.len()];
    assert!(voxels_per_independent_value(&mask, &values, &one).unwrap() > 10.0);
}

#[test]
fn voxels_left_out_do_not_count() {
    let wide = gaussian_kernel(0.7);
    let field = smooth_noise(4, 20, [&wide, &wide, &[1.0]]);
    let (mask, mut values, mut labels) = on_ball(20, &field);
    let whole = voxels_per_independent_value(&mask, &values, &labels).unwrap();
    for position in (0..values.len()).step_by(10) {
        values[position] = if position % 20 == 0 { f64::NAN } else { 1e6 };
        labels[position] = u8::from(position % 20 == 0);
    }
    let found = voxels_per_independent_value(&mask, &values, &labels).unwrap();
    assert!((found / whole - 1.0).abs() < 0.15, "{found} is not {whole}");
}

#[test]
fn small_and_flat_regions_count_one_by_one() {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let mask = Mask::full(Grid::new([5, 5, 1], affine).unwrap());
    let slope: Vec<f64> = (0..25).map(f64::from).collect();
    let number = |mask: &Mask, values: &[f64], labels: &[u8]| {
        voxels_per_independent_value(mask, values, labels)
    };
    assert_eq!(number(&mask, &slope, &[1; 25]).ok(), Some(1.0));
    let mask = Mask::full(Grid::new([10, 10, 1], affine).unwrap());
    assert_eq!(number(&mask, &[3.0; 100], &[1; 100]).ok(), Some(1.0));
    assert_eq!(number(&mask, &[f64::NAN; 100], &[1; 100]).ok(), Some(1.0));
    assert_eq!(number(&mask, &[3.0; 99], &[1; 100]).unwrap_err().field(), Some("values"));
    assert_eq!(number(&mask, &[3.0; 100], &[1; 9]).unwrap_err().field(), Some("labels"));
    // A slope is one value: no more than there are voxels.
    let slope: Vec<f64> = (0..100).map(f64::from).collect();
    let found = number(&mask, &slope, &[1; 100]).unwrap();
    assert!(found > 10.0 && found <= 100.0, "{found}");
}
