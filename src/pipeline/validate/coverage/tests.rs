use super::*;

const SETTINGS: CoverageSettings = CoverageSettings { n_voxels: 1200, n_replicates: 250, seed: 7 };

fn one(case: Result<Case>, signal_to_noise: f64) -> Cell {
    cell(&case.unwrap(), signal_to_noise, SETTINGS).unwrap()
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say_where_the_signal_is_strong() {
    let rician = NoiseDistribution::Rician;
    let gaussian = NoiseDistribution::Gaussian;
    let b_values = [0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0];
    for (name, cell) in [
        ("adc", one(cases::diffusion(&b_values, 1.2e-3, rician), 40.0)),
        ("adc gaussian", one(cases::diffusion(&b_values, 1.2e-3, gaussian), 40.0)),
        ("t2", one(cases::six_echoes(40.0, rician), 70.0)),
        ("t1", one(cases::flip_angles(rician), 100.0)),
        ("iauc", one(cases::area_under_curve(), 40.0)),
    ] {
        assert_eq!(cell.n_intervals, SETTINGS.n_voxels, "{name}");
        // Four binomial standard errors; the SD ratio has one of 2 % from 1200 voxels.
        let deviations = cell.deviations(SETTINGS.n_replicates);
        assert!(deviations.iter().all(|z| z.abs() < 4.0), "{name}: {cell:?}");
        assert!((cell.sd_ratio - 1.0).abs() < 0.08, "{name}: {cell:?}");
        assert!(cell.bias.abs() < 4.0 * cell.relative_sd / 34.6 + 0.01, "{name}: {cell:?}");
    }
}

#[test]
fn the_rician_floor_breaks_the_intervals_of_fast_decays() {
    let cell = one(cases::six_echoes(25.0, NoiseDistribution::Rician), 10.0);
    assert!(cell.bias > 0.08, "{cell:?}");
    assert!(!cell.holds(SETTINGS.n_replicates) && cell.coverage[0] < 0.65, "{cell:?}");
}

#[test]
fn exact_intervals_of_few_replicates_hold_a_little_less() {
    let [central, wide] = expected_coverage(99);
    assert!((wide - 0.95 * 0.98).abs() < 1e-12 && (central - 0.6827 * 0.98).abs() < 1e-4);
}

#[test]
fn the_page_names_what_is_off() {
    let cell = Cell {
        signal_to_noise: 5.0,
        n_intervals: 900,
        coverage: [0.5, 0.95],
        bias: 0.1,
        relative_sd: 0.2,
        sd_ratio: 1.0,
    };
    let fine = Cell { coverage: [0.68, 0.945], ..cell };
    let rows = vec![CoverageRow { title: "T2".into(), cells: vec![cell, fine] }];
    let settings = CoverageSettings { n_voxels: 1000, n_replicates: 500, seed: 1 };
    let page = page::render(&CoverageReport { settings, rows });
    assert!(page.contains("1 of 2 rows hold"));
    assert!(page.contains(
        "| 5 | 90.0 % | 50.0 ± 1.6 | 95.0 ± 0.8 | +10.00 | 20.00 | 1.000 | **68.27 %: too few** |"
    ));
    assert!(page.ends_with("| holds |\n"));
}
