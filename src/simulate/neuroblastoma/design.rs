//! The tumours of the cohort: what each one truly is.
//!
//! Targets are constructed, not drawn: over every class the mean and the standard deviation of the
//! viable ADC are exactly the class's values, whatever the number of tumours.

use super::{NeuroblastomaSettings, UncertaintyReading};
use crate::random::StreamKey;
use crate::simulate::targets::{
    even_scores, mean, permuted, standard_deviation, standardised, two_group_scores,
};

/// Class of a tumour, most differentiated first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Ganglioneuroma,
    Ganglioneuroblastoma,
    Neuroblastoma,
}

impl Class {
    pub(super) const ALL: [Self; 3] =
        [Self::Ganglioneuroma, Self::Ganglioneuroblastoma, Self::Neuroblastoma];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ganglioneuroma => "GN",
            Self::Ganglioneuroblastoma => "GNB",
            Self::Neuroblastoma => "NB",
        }
    }

    #[expect(clippy::approx_constant, reason = "0.318 is a diffusivity")]
    fn targets(self) -> ClassTargets {
        let (viable, naive, reference, iauc60, within) = match self {
            Self::Ganglioneuroma => {
                ([1.2, 0.37], [1.6, 0.45], 2.6, [22.0, 0.20], [0.301, 2.527, 0.182, 0.444])
            }
            Self::Ganglioneuroblastoma => {
                ([0.74, 0.43], [1.7, 0.63], 2.9, [32.0, 0.25], [0.463, 2.815, 0.221, 0.318])
            }
            Self::Neuroblastoma => {
                ([0.54, 0.20], [1.3, 0.23], 1.8, [43.0, 0.14], [0.873, 1.410, 0.069, 0.108])
            }
        };
        ClassTargets { viable, naive, reference, iauc60, within }
    }
}

/// Means (10⁻³ mm²/s, mM·s) with their relative standard deviation between tumours.
struct ClassTargets {
    viable: [f64; 2],
    naive: [f64; 2],
    /// Contaminant ADC that the fraction of contaminant is first solved with.
    reference: f64,
    iauc60: [f64; 2],
    /// Within-tumour reading: fraction, contaminant mean, its SD, viable SD.
    within: [f64; 4],
}

/// Mean over neuroblastomas of the IAUC60 of all voxels, mM·s, and its relative spread.
const NAIVE_IAUC60: [f64; 2] = [17.0, 0.17];
/// Contaminant ADC that no tumour exceeds, that of free water, 10⁻³ mm²/s.
const LARGEST_ADC: f64 = 3.0;
/// Spread of a tissue within one tumour, relative.
const WITHIN_TUMOUR_CV: f64 = 0.10;

/// What one tumour truly is; ADC in 10⁻³ mm²/s, IAUC60 in mM·s.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tumour {
    pub(super) class: Class,
    pub(super) contaminant_fraction: f64,
    /// Mean and SD over viable voxels.
    pub(super) viable_adc: [f64; 2],
    /// Mean and SD over contaminant voxels.
    pub(super) contaminant_adc: [f64; 2],
    /// Mean and SD over viable (enhancing) voxels; contaminant does not enhance.
    pub(super) viable_iauc60: [f64; 2],
}

impl Tumour {
    /// Mean ADC over all voxels.
    pub(super) fn naive_adc(&self) -> f64 {
        let f = self.contaminant_fraction;
        (1.0 - f) * self.viable_adc[0] + f * self.contaminant_adc[0]
    }

    /// Mean IAUC60 over all voxels.
    pub(super) fn naive_iauc60(&self) -> f64 {
        (1.0 - self.contaminant_fraction) * self.viable_iauc60[0]
    }
}

/// All tumours, class after class.
pub(super) fn tumours(settings: &NeuroblastomaSettings) -> Vec<Tumour> {
    let counts = settings.preset.tumours_per_class();
    Class::ALL
        .iter()
        .zip(counts)
        .flat_map(|(&class, n)| match settings.reading {
            UncertaintyReading::BetweenTumours => between_tumours(class, n, settings.seed),
            UncertaintyReading::WithinTumour => within_tumour(class, n),
        })
        .map(|mut tumour| {
            tumour.contaminant_fraction =
                settings.contaminant_fraction.unwrap_or(tumour.contaminant_fraction);
            tumour
        })
        .collect()
}

/// Values `m·(1 + u·z)` for scores z.
fn spread([centre, relative]: [f64; 2], scores: &[f64]) -> Vec<f64> {
    scores.iter().map(|z| centre * (1.0 + relative * z)).collect()
}

fn between_tumours(class: Class, n: usize, seed: u64) -> Vec<Tumour> {
    let targets = class.targets();
    let even = even_scores(n);
    let shuffled = |name: &str| permuted(&even, StreamKey::new(seed, name));
    let (scores, naive_scores) = match class {
        Class::Ganglioneuroma => (even.clone(), even.clone()),
        Class::Ganglioneuroblastoma => (two_group_scores(n), two_group_scores(n)),
        Class::Neuroblastoma => (even.clone(), shuffled("naive scores of NB")),
    };
    let viable = spread(targets.viable, &scores);
    let naive = spread(targets.naive, &naive_scores);
    let iauc60 = spread(targets.iauc60, &shuffled(class.name()));
    let naive_iauc60 = spread(NAIVE_IAUC60, &naive_scores);
    (0..n)
        .map(|i| {
            let above = naive[i].max(viable[i] + 0.05) - viable[i];
            let fraction = match class {
                Class::Neuroblastoma => 1.0 - naive_iauc60[i] / iauc60[i],
                _ => above / (targets.reference - viable[i]),
            };
            let fraction = fraction.clamp(0.15, 0.85);
            let contaminant = (viable[i] + above / fraction).min(LARGEST_ADC);
            Tumour {
                class,
                contaminant_fraction: fraction,
                viable_adc: [viable[i], WITHIN_TUMOUR_CV * viable[i]],
                contaminant_adc: [contaminant, WITHIN_TUMOUR_CV * contaminant],
                viable_iauc60: [iauc60[i], WITHIN_TUMOUR_CV * iauc60[i]],
            }
        })
        .collect()
}

fn within_tumour(class: Class, n: usize) -> Vec<Tumour> {
    let targets = class.targets();
    let [fraction, contaminant, contaminant_sd, viable_sd] = targets.within;
    let tumour = Tumour {
        class,
        contaminant_fraction: fraction,
        viable_adc: [targets.viable[0], viable_sd],
        contaminant_adc: [contaminant, contaminant_sd],
        viable_iauc60: [targets.iauc60[0], WITHIN_TUMOUR_CV * targets.iauc60[0]],
    };
    vec![tumour; n]
}

/// Normal draws moved and stretched to exactly `[mean, SD]`; none below 5 % of the mean.
pub(super) fn tissue_values([centre, sd]: [f64; 2], key: StreamKey, voxels: &[usize]) -> Vec<f64> {
    let draws: Vec<f64> = voxels.iter().map(|&voxel| key.stream(voxel, 0).normal()).collect();
    standardised(&draws, centre, sd).into_iter().map(|x| x.max(0.05 * centre)).collect()
}

/// Mean and 100·SD/mean over tumours.
pub(super) fn class_summary(values: &[f64]) -> (f64, f64) {
    (mean(values), 100.0 * standard_deviation(values) / mean(values))
}

#[cfg(test)]
mod tests {
    use super::super::{NeuroblastomaSettings, Preset};
    use super::*;

    fn of_class(tumours: &[Tumour], class: Class, value: fn(&Tumour) -> f64) -> (f64, f64) {
        let values: Vec<f64> =
            tumours.iter().filter(|tumour| tumour.class == class).map(value).collect();
        class_summary(&values)
    }

    #[test]
    fn viable_adc_has_exactly_the_class_means_and_spreads() {
        for preset in [Preset::Small, Preset::Abstract] {
            let tumours = tumours(&NeuroblastomaSettings::new(preset, 11));
            for (class, m, u) in [
                (Class::Ganglioneuroma, 1.2, 37.0),
                (Class::Ganglioneuroblastoma, 0.74, 43.0),
                (Class::Neuroblastoma, 0.54, 20.0),
            ] {
                let (mean, percent) = of_class(&tumours, class, |t| t.viable_adc[0]);
                assert!((mean - m).abs() < 1e-12 && (percent - u).abs() < 1e-10);
            }
            let (mean, percent) = of_class(&tumours, Class::Neuroblastoma, |t| t.viable_iauc60[0]);
            assert!((mean - 43.0).abs() < 1e-11 && (percent - 14.0).abs() < 1e-10);
        }
    }

    /// `tests/it/golden/tumour_design.py`: the same equations in numpy.
    #[test]
    fn naive_means_are_those_of_the_design() {
        let tumours = tumours(&NeuroblastomaSettings::new(Preset::Abstract, 1));
        for (class, mean, percent) in [
            (Class::Ganglioneuroma, 1.603_136_752, 44.599_663_5),
            (Class::Ganglioneuroblastoma, 1.687_890_201, 62.600_941_0),
        ] {
            let (m, u) = of_class(&tumours, class, Tumour::naive_adc);
            assert!((m - mean).abs() < 1e-9 && (u - percent).abs() < 1e-7, "{m} {u}");
        }
    }

    /// The scores of NB are permuted by the seed: medians over 300 seeds, whose standard errors
    /// are 0.0007 and 0.05, against those of `tests/it/golden/tumour_design.py`.
    #[test]
    fn naive_neuroblastomas_scatter_over_seeds_as_the_design_does() {
        let (mut means, mut percents) = (Vec::new(), Vec::new());
        for seed in 0..300 {
            let tumours = tumours(&NeuroblastomaSettings::new(Preset::Abstract, seed));
            let (m, u) = of_class(&tumours, Class::Neuroblastoma, Tumour::naive_adc);
            means.push(m);
            percents.push(u);
            let (m, u) = of_class(&tumours, Class::Neuroblastoma, Tumour::naive_iauc60);
            assert!((m - 17.0).abs() < 1e-9 && (u - 17.0).abs() < 1e-9, "{m} {u}");
        }
        means.sort_by(f64::total_cmp);
        percents.sort_by(f64::total_cmp);
        assert!((means[150] - 1.2902).abs() < 0.003, "{}", means[150]);
        assert!((percents[150] - 22.24).abs() < 0.2, "{}", percents[150]);
    }

    #[test]
    fn within_tumour_reading_mixes_to_the_naive_mean_and_spread() {
        let mut settings = NeuroblastomaSettings::new(Preset::Small, 1);
        settings.reading = UncertaintyReading::WithinTumour;
        for (tumour, (mean, sd)) in
            tumours(&settings).iter().step_by(2).zip([(1.6, 0.72), (1.7, 1.07), (1.3, 0.30)])
        {
            let f = tumour.contaminant_fraction;
            let [m, s] = tumour.viable_adc;
            let [c, t] = tumour.contaminant_adc;
            let variance = (1.0 - f) * s * s + f * t * t + f * (1.0 - f) * (c - m) * (c - m);
            assert!((tumour.naive_adc() - mean).abs() < 0.005);
            assert!((variance.sqrt() - sd).abs() < 0.01, "{}", variance.sqrt());
        }
    }
}
