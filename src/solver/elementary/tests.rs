use super::*;
use fearless_simd::{Level, dispatch, prelude::*};

#[inline(always)]
fn double_kernel<S: Simd>(simd: S, x: &[f64], exp: &mut [f64], ln: &mut [f64]) {
    for (x, (exp, ln)) in x.chunks_exact(8).zip(exp.chunks_exact_mut(8).zip(ln.chunks_exact_mut(8)))
    {
        let x = f64x8::from_slice(simd, x);
        Elementary::exp(x).store_slice(exp);
        Elementary::ln(x).store_slice(ln);
    }
}

#[inline(always)]
fn single_kernel<S: Simd>(simd: S, x: &[f32], exp: &mut [f32], ln: &mut [f32]) {
    for (x, (exp, ln)) in
        x.chunks_exact(16).zip(exp.chunks_exact_mut(16).zip(ln.chunks_exact_mut(16)))
    {
        let x = f32x16::from_slice(simd, x);
        Elementary::exp(x).store_slice(exp);
        Elementary::ln(x).store_slice(ln);
    }
}

fn double(level: Level, x: &[f64]) -> [Vec<f64>; 2] {
    let (mut exp, mut ln) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    dispatch!(level, simd => double_kernel(simd, x, &mut exp, &mut ln));
    [exp, ln]
}

fn single(level: Level, x: &[f32]) -> [Vec<f32>; 2] {
    let (mut exp, mut ln) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    dispatch!(level, simd => single_kernel(simd, x, &mut exp, &mut ln));
    [exp, ln]
}

/// The instruction sets of this machine from the poorest to the richest.
fn levels() -> Vec<Level> {
    let best = Level::new();
    let mut levels = vec![Level::baseline()];
    #[cfg(target_arch = "x86_64")]
    levels.extend(best.as_avx2().map(Level::Avx2));
    levels.push(best);
    levels
}

/// Largest error in units of the last place of the true value.
fn worst(got: &[f64], wanted: impl Fn(usize) -> f64, epsilon: f64) -> f64 {
    let error = |(i, got): (usize, &f64)| (got - wanted(i)).abs() / (wanted(i).abs() * epsilon);
    got.iter().enumerate().map(error).fold(0.0, f64::max)
}

#[test]
fn exp_and_ln_are_right_to_two_units_in_the_last_place() {
    let n = 160_000;
    let at = |i: usize, low: f64, high: f64| low + (high - low) * i as f64 / n as f64;
    let x: Vec<f64> = (0..n).map(|i| at(i, -700.0, 700.0)).collect();
    let near: Vec<f64> = (0..n).map(|i| at(i, -1.0, 1.0)).collect();
    let positive: Vec<f64> = (0..n).map(|i| at(i, -600.0, 600.0).exp()).collect();
    let near_one: Vec<f64> = (0..n).map(|i| at(i, 0.6, 1.6)).collect();
    let single_x: Vec<f32> = (0..n).map(|i| at(i, -86.0, 87.0) as f32).collect();
    let single_positive: Vec<f32> = (0..n).map(|i| at(i, -80.0, 80.0).exp() as f32).collect();
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&v| f64::from(v)).collect() };
    for level in levels() {
        for x in [&x, &near] {
            let error = worst(&double(level, x)[0], |i| x[i].exp(), f64::EPSILON);
            assert!(error < 2.0, "{error}");
        }
        for x in [&positive, &near_one] {
            let error = worst(&double(level, x)[1], |i| x[i].ln(), f64::EPSILON);
            assert!(error < 2.0, "{error}");
        }
        let [exp, _] = single(level, &single_x);
        let error = worst(&wide(&exp), |i| f64::from(single_x[i]).exp(), f32::EPSILON.into());
        assert!(error < 2.0, "{error}");
        let [_, ln] = single(level, &single_positive);
        let wanted = |i: usize| f64::from(single_positive[i]).ln();
        let error = worst(&wide(&ln), wanted, f32::EPSILON.into());
        assert!(error < 2.0, "{error}");
    }
}

#[test]
fn instruction_sets_with_fused_operations_give_the_same_bits() {
    let x: Vec<f64> = (0..80_000).map(|i| 1e-3 + 1e-2 * f64::from(i)).collect();
    let narrow: Vec<f32> = x.iter().map(|&x| (0.1 * x) as f32).collect();
    let levels = levels();
    for level in &levels[1..] {
        let bits = |[a, b]: [Vec<f64>; 2]| -> Vec<u64> {
            a.into_iter().chain(b).map(f64::to_bits).collect()
        };
        assert!(bits(double(*level, &x)) == bits(double(levels[1], &x)));
        let bits = |[a, b]: [Vec<f32>; 2]| -> Vec<u32> {
            a.into_iter().chain(b).map(f32::to_bits).collect()
        };
        assert!(bits(single(*level, &narrow)) == bits(single(levels[1], &narrow)));
    }
}

#[test]
fn exp_saturates_and_passes_nan() {
    for level in levels() {
        let [exp, _] = double(level, &[-1e9, -708.5, 1e9, f64::INFINITY, 0.0, f64::NAN, 1.0, -0.0]);
        assert!(exp[0] > 0.0 && exp[0] < 1e-300 && exp[1] < 1e-300);
        assert!(exp[2] > 1e300 && exp[3].is_finite() && exp[5].is_nan());
        assert_eq!([exp[4].to_bits(), exp[7].to_bits()], [1.0_f64.to_bits(); 2]);
    }
}
