use super::*;
use crate::random::StreamKey;
use crate::uncertainty::Replicates;

/// 40 % viable 0.54 ± 0.054, 60 % contaminant 1.8 ± 0.18, in turn.
fn tumour(n: usize) -> Vec<f64> {
    let key = StreamKey::new(21, "tumour");
    (0..n)
        .map(|voxel| {
            let z = key.stream(voxel, 0).normal();
            if voxel % 5 < 2 { 0.54 + 0.054 * z } else { 1.8 + 0.18 * z }
        })
        .collect()
}

fn one_tissue(n: usize) -> Vec<f64> {
    let key = StreamKey::new(22, "one tissue");
    (0..n).map(|voxel| 1.2 + 0.12 * key.stream(voxel, 0).normal()).collect()
}

#[test]
fn viable_tissue_is_the_lowest_habitat() {
    let values = tumour(3000);
    let found = cluster(&[&values], &Settings::default()).unwrap();
    assert_eq!((found.k(), found.reduction), (2, None));
    assert!(found.preferred_k() >= Some(2));
    assert_eq!(found.reported_label(), Some(1));
    assert!(found.selection().iter().enumerate().all(|(voxel, &in_)| in_ == (voxel % 5 < 2)));
    let lowest = &found.habitats[0];
    assert_eq!((lowest.n, lowest.label), (1200, 1));
    assert!((lowest.fraction - 0.4).abs() < 1e-15);
    assert!((lowest.means[0] - 0.54).abs() < 4.0 * 0.054 / 1200.0_f64.sqrt());
    assert!((lowest.standard_deviations[0].unwrap() - 0.054).abs() < 0.005);
    assert!(found.silhouette.unwrap() > 0.8);
}

#[test]
fn the_highest_habitat_and_all_of_them_can_stand_for_the_region() {
    let values = tumour(500);
    let of = |reported| {
        let settings = Settings { reported, ..Settings::default() };
        let found = cluster(&[&values], &settings).unwrap();
        (found.reported_label(), found.selection().iter().filter(|&&inside| inside).count())
    };
    assert_eq!(of(Reported::Lowest), (Some(1), 200));
    assert_eq!(of(Reported::Highest), (Some(2), 300));
    assert_eq!(of(Reported::All), (None, 500));
}

#[test]
fn one_tissue_stays_whole_unless_the_guard_is_off() {
    let values = one_tissue(2000);
    for number in [Number::Fixed(2), Number::Automatic] {
        let settings = Settings { number, ..Settings::default() };
        let found = cluster(&[&values], &settings).unwrap();
        assert_eq!((found.k(), found.reduction), (1, Some(Reduction::Criterion)));
        assert_eq!(found.selection(), [true; 2000]);
        assert_eq!(found.gap_k, (number == Number::Automatic).then_some(1));
    }
    let settings = Settings { guard: Guard::Never, ..Settings::default() };
    let split = cluster(&[&values], &settings).unwrap();
    assert_eq!((split.k(), split.criteria.len()), (2, 0));
}

#[test]
fn a_mixture_component_is_not_truncated_at_the_border() {
    // Two overlapping tissues, 3 SD apart: the halves of k-means are narrower and further out.
    let key = StreamKey::new(23, "overlap");
    let values: Vec<f64> = (0..20_000)
        .map(|voxel| f64::from(u8::from(voxel % 2 == 0)) * 3.0 + key.stream(voxel, 0).normal())
        .collect();
    let of = |method, estimator| {
        let settings = Settings { method, estimator, ..Settings::default() };
        let lowest = cluster(&[&values], &settings).unwrap().habitats.remove(0);
        (lowest.means[0], lowest.standard_deviations[0].unwrap())
    };
    let (_, truncated) = of(Method::KMeans, Estimator::Moments);
    assert!(truncated < 0.93);
    for method in [Method::KMeans, Method::GaussianMixture] {
        let (mean, sd) = of(method, Estimator::MixtureComponent);
        assert!(mean.abs() < 0.05 && (sd - 1.0).abs() < 0.05, "{mean} ± {sd}");
    }
}

#[test]
fn regions_that_cannot_be_split_are_one_habitat_with_a_reason() {
    let few = cluster(&[&tumour(29)], &Settings::default()).unwrap();
    assert_eq!((few.k(), few.reduction), (1, Some(Reduction::FewVoxels)));
    let flat = cluster(&[&[2.0; 40]], &Settings::default()).unwrap();
    assert_eq!(flat.reduction, Some(Reduction::NoSpread));
    assert_eq!(flat.habitats[0].standard_deviations, [Some(0.0)]);
    let two: Vec<f64> = (0..40).map(|voxel| f64::from(voxel % 2)).collect();
    let settings = Settings { number: Number::Fixed(3), ..Settings::default() };
    let found = cluster(&[&two], &settings).unwrap();
    assert_eq!(found.reduction, Some(Reduction::FewDistinctValues));
    let single = cluster(&[&[1.0]], &Settings::default()).unwrap();
    assert_eq!(single.habitats[0].standard_deviations, [None]);
    let asked = Settings { number: Number::Fixed(1), ..Settings::default() };
    assert_eq!(cluster(&[&tumour(90)], &asked).unwrap().reduction, None);
}

#[test]
fn two_parameters_are_clustered_together() {
    let adc = tumour(1000);
    let key = StreamKey::new(24, "iauc60");
    let iauc: Vec<f64> = (0..1000)
        .map(|voxel| {
            let z = key.stream(voxel, 0).normal();
            if voxel % 5 < 2 { 43.0 + 4.0 * z } else { 3.0 + 2.0 * z }
        })
        .collect();
    for method in [Method::KMeans, Method::GaussianMixture] {
        let settings = Settings { method, ..Settings::default() };
        let found = cluster(&[&adc, &iauc], &settings).unwrap();
        assert_eq!(found.k(), 2);
        assert!((found.habitats[0].means[0] - 0.54).abs() < 0.02);
        assert!((found.habitats[0].means[1] - 43.0).abs() < 1.0);
        assert!((found.habitats[1].centroid[1] - 3.0).abs() < 0.5);
        assert_eq!(found.posteriors.is_some(), method == Method::GaussianMixture);
        assert_eq!(found.nearest(&[0.6, 40.0]), Some(1));
    }
}

#[test]
fn pseudo_experiments_tell_how_firmly_a_voxel_belongs() {
    let values = tumour(500);
    let found = cluster(&[&values], &Settings::default()).unwrap();
    let replicates = [0.5, 0.6, 0.55, 1.9, f64::NAN];
    assert_eq!(found.membership_stability(0, &[&replicates]), Some(0.6));
    assert_eq!(found.membership_stability(4, &[&replicates]), Some(0.2));
    assert_eq!(found.membership_stability(500, &[&replicates]), None);
    assert_eq!(found.membership_stability(0, &[&[]]), None);
    assert_eq!(found.membership_stability(0, &[]), None);
    assert_eq!(found.nearest(&[0.5, 0.5]), None);
    let columns = [vec![9.0; 4], vec![0.5, 0.6, 0.55, 1.9]];
    let replicates = Replicates { place: 0, estimates: &columns, n_drawn: 5 };
    // One of five was no estimate.
    assert!((found.stability_of(1, &[1], replicates) - 0.6).abs() < 1e-15);
    assert!((found.stability_of(2, &[1], replicates) - 0.2).abs() < 1e-15);
    assert!(found.stability_of(1, &[2], replicates).is_nan());
    let none = Replicates { n_drawn: 0, ..replicates };
    assert!(found.stability_of(1, &[1], none).is_nan());
    let mut stability = vec![None; 500];
    (stability[0], stability[1]) = (Some(0.6), Some(1.0));
    assert_eq!(found.mean_stability(&stability), [Some(0.8), None]);
}

#[test]
fn settings_and_voxels_are_checked() {
    let settings = Settings { n_corr: 0.5, ..Settings::default() };
    assert_eq!(cluster(&[&[1.0]], &settings).unwrap_err().field(), Some("n_corr"));
    for k in [0, 17] {
        let settings = Settings { number: Number::Fixed(k), ..Settings::default() };
        assert_eq!(cluster(&[&[1.0]], &settings).unwrap_err().field(), Some("number"));
    }
    assert!(cluster(&[], &Settings::default()).is_err());
    assert!(cluster(&[&[]], &Settings::default()).is_err());
    assert!(cluster(&[&[1.0, f64::NAN]], &Settings::default()).is_err());
    assert!(cluster(&[&[1.0, 2.0], &[1.0]], &Settings::default()).is_err());
}
