use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_clustering::{KMeans, KMeansInit};
use ndarray::{Array2, array};
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;

use super::*;

/// `n` samples around (0, 0), (6, 1) and (2, 6) with SD 1, far from the origin.
fn clouds(n: usize) -> [Vec<f64>; 2] {
    let key = StreamKey::new(31, "lloyd");
    let mut columns = [Vec::new(), Vec::new()];
    for sample in 0..n {
        let mut stream = key.stream(sample, 0);
        let centre = [[0.0, 0.0], [6.0, 1.0], [2.0, 6.0]][sample % 3];
        columns[0].push(1e4 + centre[0] + stream.normal());
        columns[1].push(centre[1] + stream.normal());
    }
    columns
}

fn start() -> [[f64; 2]; 3] {
    [[1e4 + 1.0, 1.0], [1e4 + 2.0, 1.0], [1e4 + 2.0, 2.0]]
}

/// Plain Lloyd with squared distances: labels and number of assignments.
fn plain(columns: [&[f64]; 2], start: [[f64; 2]; 3]) -> (Vec<u8>, usize) {
    let mut centroids = start;
    let mut labels: Vec<u8> = Vec::new();
    for iteration in 1.. {
        let nearest = |i: usize| {
            let distance =
                |c: [f64; 2]| (columns[0][i] - c[0]).powi(2) + (columns[1][i] - c[1]).powi(2);
            let order =
                |a: usize, b: usize| distance(centroids[a]).total_cmp(&distance(centroids[b]));
            (0..3).min_by(|&a, &b| order(a, b)).map(|cluster| cluster as u8)
        };
        let next: Vec<u8> = (0..columns[0].len()).map(|i| nearest(i).unwrap()).collect();
        if next == labels {
            return (labels, iteration);
        }
        labels = next;
        for (cluster, centroid) in centroids.iter_mut().enumerate() {
            let own: Vec<usize> =
                (0..labels.len()).filter(|&i| usize::from(labels[i]) == cluster).collect();
            if own.is_empty() {
                continue;
            }
            for (value, column) in centroid.iter_mut().zip(columns) {
                *value = own.iter().map(|&i| column[i]).sum::<f64>() / own.len() as f64;
            }
        }
    }
    unreachable!()
}

#[test]
fn labels_and_iterations_are_those_of_plain_lloyd() {
    for n in [3, 7, 8, 65, BLOCK - 1, BLOCK + 5, 3 * BLOCK + 1] {
        let [x, y] = clouds(n);
        let found = lloyd([&x, &y], start(), 300).unwrap();
        let (labels, n_iterations) = plain([&x, &y], start());
        assert_eq!((&found.labels, found.n_iterations), (&labels, n_iterations), "{n} samples");
        for (cluster, size) in found.sizes.iter().enumerate() {
            let own: Vec<usize> = (0..n).filter(|&i| usize::from(labels[i]) == cluster).collect();
            assert_eq!(own.len(), *size);
            if own.is_empty() {
                continue;
            }
            let mean = sum(own.iter().map(|&i| y[i])) / own.len() as f64;
            assert!((found.centroids[cluster][1] - mean).abs() < 1e-12);
        }
    }
}

#[test]
fn the_partition_is_that_of_linfa_from_the_same_start() {
    let [x, y] = clouds(6000);
    let rows = Array2::from_shape_fn((x.len(), 2), |(i, d)| if d == 0 { x[i] } else { y[i] });
    let [a, b, c] = start();
    let reference = KMeans::params_with_rng(3, Xoshiro256Plus::seed_from_u64(1))
        .init_method(KMeansInit::Precomputed(array![[a[0], a[1]], [b[0], b[1]], [c[0], c[1]]]))
        .max_n_iterations(1000)
        .tolerance(1e-14)
        .fit(&DatasetBase::from(rows.view()))
        .unwrap();
    let found = lloyd([&x, &y], start(), 300).unwrap();
    let labels: Vec<usize> = found.labels.iter().map(|&label| usize::from(label)).collect();
    assert_eq!(labels, reference.predict(&rows).to_vec());
    for (centroid, expected) in found.centroids.iter().zip(reference.centroids().rows()) {
        assert!(centroid.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}

#[test]
fn many_starts_find_the_clouds_whatever_the_number_of_threads() {
    let [x, y] = clouds(2 * BLOCK + 100);
    let key = StreamKey::new(1, "starts");
    let starts = Starts { repetitions: 20, n_iterations_max: 300, key };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| best_of(&[&x, &y], 3, starts).unwrap())
    };
    let found = run(1);
    assert_eq!(found, run(2));
    assert!(found.sizes.iter().all(|&n| n.abs_diff(x.len() / 3) < x.len() / 100));
    assert_eq!(best_of(&[&x], 3, starts), None);
    assert_eq!(best_of(&[&x, &y], 5, starts), None);
}

#[test]
fn three_features_and_an_empty_cluster() {
    let [x, y] = clouds(100);
    let z = vec![5.0; 100];
    let far = [1e4 + 1e3, 1e3, 5.0];
    let found = lloyd([&x, &y, &z], [[1e4, 0.0, 5.0], far], 300).unwrap();
    assert_eq!((found.sizes[0], found.sizes[1]), (100, 0));
    assert!((found.centroids[1][0] - far[0]).abs() < 1e-9);
}

#[test]
fn samples_that_cannot_be_assigned_are_refused() {
    assert_eq!(lloyd([&[], &[]], start(), 300), None);
    assert_eq!(lloyd([&[1.0], &[1.0, 2.0]], start(), 300), None);
    assert_eq!(lloyd([&[1.0], &[f64::NAN]], start(), 300), None);
    assert_eq!(lloyd([&[1.0], &[1.0]], [[f64::NAN, 0.0]], 300), None);
    let same = [2.0; 9];
    let starts = Starts { repetitions: 3, n_iterations_max: 9, key: StreamKey::new(1, "same") };
    assert_eq!(best_of(&[&same, &same], 2, starts), None);
}
