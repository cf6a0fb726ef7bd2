//! Clusters and first-order features of a million values.

use std::error::Error;
use std::hint::black_box;

use biomarker::statistics::first_order::FirstOrder;
use biomarker::statistics::{k_means as one_variable, multivariate};
use criterion::{Criterion, Throughput};

use crate::simulated;

const N: usize = 1_000_000;

/// Three clusters of one and of two variables.
pub(crate) fn k_means(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let [first, second] = simulated::three_groups(N);
    let features = multivariate::Features::new(&[&first, &second])?;
    let mut group = criterion.benchmark_group("k_means_1e6_k3");
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function("one_variable", |bencher| {
        bencher.iter(|| one_variable::k_means(black_box(&first), 3));
    });
    group.bench_function("two_variables", |bencher| {
        bencher.iter(|| multivariate::k_means(black_box(&features), 3));
    });
    group.finish();
    Ok(())
}

/// All features.
pub(crate) fn first_order(criterion: &mut Criterion) {
    let [values, _] = simulated::three_groups(N);
    let mut group = criterion.benchmark_group("first_order_1e6");
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function("all_features", |bencher| {
        bencher.iter(|| FirstOrder::of(black_box(&values)));
    });
    group.finish();
}
