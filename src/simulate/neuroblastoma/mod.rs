//! Neuroblastic tumours: diffusion and dynamic contrast-enhanced images of constructed patients.
//!
//! Every tumour is a mixture of viable tissue and clustered contaminant (necrosis, cyst, stroma)
//! that takes up no contrast agent, plus a few voxels that hold almost no signal. One tissue fills
//! one voxel, so the truth of a region is exact on its grid. The two images have different grids,
//! one of them oblique: a volume of interest goes from one to the other by scanner coordinates.
//!
//! The class means are those of a published abstract by design; recovering them shows that an
//! estimator is consistent under this contamination, not that patients are so.

mod anatomy;
mod design;
mod imaging;

use super::Preset;
use super::study::{
    GroupTruthRow, SimulatedCohort, SimulatedStudy, StudySource, TabularFile, descriptions,
    require_snr,
};
use crate::error::{Error, Result};
use crate::unit::Unit;
use design::{Class, Tumour, class_summary, tumours};

/// Which spread the percent uncertainty of the design is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UncertaintyReading {
    /// Standard deviation between the tumours of a class.
    BetweenTumours,
    /// Standard deviation between the voxels of every tumour; all tumours of a class are alike.
    WithinTumour,
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct NeuroblastomaSettings {
    /// Number and size of the studies.
    pub preset: Preset,
    /// Names all random numbers.
    pub seed: u64,
    /// Signal of viable tumour at b = 0 over σ; `None` for images without noise.
    pub diffusion_snr: Option<f64>,
    /// Signal of tumour before contrast over σ; `None` for images without noise.
    pub dynamic_snr: Option<f64>,
    /// Which spread the design's percent uncertainty is.
    pub reading: UncertaintyReading,
    /// Fraction of tumour voxels with 5–25 % of the signal in the diffusion images, 0–0.5.
    pub junk_fraction: f64,
    /// Fraction of contaminant voxels of every tumour, 0–0.95; `None` for that of the design.
    pub contaminant_fraction: Option<f64>,
    /// Diffusion weighting of every volume, s/mm²; at least two different values.
    pub b_values_s_per_mm2: Vec<f64>,
}

/// Diffusion weighting of the design, s/mm².
const B_VALUES_S_PER_MM2: [f64; 7] = [0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0];

impl NeuroblastomaSettings {
    /// The designed cohort: signal-to-noise ratio 60 (diffusion) and 20 (dynamic), 5 % junk.
    pub fn new(preset: Preset, seed: u64) -> Self {
        Self {
            preset,
            seed,
            diffusion_snr: Some(60.0),
            dynamic_snr: Some(20.0),
            reading: UncertaintyReading::BetweenTumours,
            junk_fraction: 0.05,
            contaminant_fraction: None,
            b_values_s_per_mm2: B_VALUES_S_PER_MM2.to_vec(),
        }
    }

    /// Signal of viable tumour at b = 0, and of tumour before contrast: σ is this over the
    /// signal-to-noise ratio.
    pub fn reference_signal(&self) -> f64 {
        imaging::REFERENCE_SIGNAL
    }

    /// The same tumours in images without noise.
    #[must_use]
    pub fn noise_free(mut self) -> Self {
        (self.diffusion_snr, self.dynamic_snr) = (None, None);
        self
    }

    fn validate(&self) -> Result<()> {
        require_snr("diffusion_snr", self.diffusion_snr)?;
        require_snr("dynamic_snr", self.dynamic_snr)?;
        require_b_values(&self.b_values_s_per_mm2)?;
        require_fraction("junk_fraction", self.junk_fraction, 0.5)?;
        require_fraction("contaminant_fraction", self.contaminant_fraction.unwrap_or(0.0), 0.95)
    }
}

impl Preset {
    /// Ganglioneuromas, ganglioneuroblastomas, neuroblastomas.
    fn tumours_per_class(self) -> [usize; 3] {
        match self {
            Self::Small => [2, 2, 2],
            Self::Abstract => [6, 6, 18],
        }
    }
}

fn require_b_values(b_values: &[f64]) -> Result<()> {
    let field = "b_values_s_per_mm2";
    if let Some(wrong) = b_values.iter().find(|b| !(0.0..=5000.0).contains(*b)) {
        return Err(Error::value(format!("{wrong} is not between 0 and 5000")).at_field(field));
    }
    if b_values.iter().any(|b| b.total_cmp(&b_values[0]).is_ne()) {
        return Ok(());
    }
    Err(Error::value("at least two different b-values are needed").at_field(field))
}

fn require_fraction(field: &str, fraction: f64, largest: f64) -> Result<()> {
    if (0.0..=largest).contains(&fraction) {
        Ok(())
    } else {
        Err(Error::value(format!("fraction {fraction} is not between 0 and {largest}"))
            .at_field(field))
    }
}

/// The cohort of neuroblastic tumours.
///
/// # Errors
///
/// `Value` naming the setting that is out of range.
pub fn neuroblastoma(settings: NeuroblastomaSettings) -> Result<SimulatedCohort> {
    settings.validate()?;
    let tumours = tumours(&settings);
    Ok(SimulatedCohort {
        name: "neuroblastoma".into(),
        readme: README.into(),
        descriptions: descriptions("Simulated neuroblastic tumours"),
        bids_ignore: vec!["sub-*/perf/*_dce.*"],
        tables: vec![participants(&tumours)],
        group_truth: group_truth(&tumours),
        source: Box::new(Tumours { settings, tumours }),
    })
}

const README: &str = "\
Simulated neuroblastic tumours with known truth. No patient is in here.

Each tumour is a mixture of viable tissue and contaminant in spatial clusters. Over the tumours of \
a class the mean and the relative standard deviation of the viable ADC are exactly GN 1.2 (37 %), \
GNB 0.74 (43 %), NB 0.54 (20 %) x 10^-3 mm^2/s, and of the viable IAUC60 exactly NB 43 mM s (14 %); \
for GN and GNB 22 (20 %) and 32 (25 %) are assumptions of this dataset. Contaminant does not \
enhance. Diffusion: b 0, 50, 100, 200, 400, 600, 800 s/mm^2, trace-weighted. Dynamic: spoiled \
gradient echo, TR 4 ms, 15 degrees, T10 1.2 s, relaxivity 4.5 1/(s mM), bolus arrival at 29 s, \
Parker blood curve, extended Tofts shape (Ktrans 0.5/min, ve 0.4, vp 0.05, haematocrit 0.42) scaled \
to the IAUC60 of each voxel. Magnitude noise of one channel, the same sigma in every voxel.

The truth was designed: recovering it shows that an estimator is consistent under the stated \
contamination, not that patients are so.
";

fn participant_id(index: usize) -> String {
    format!("sub-{:02}", index + 1)
}

fn participants(tumours: &[Tumour]) -> TabularFile {
    let row = |(index, tumour): (usize, &Tumour)| {
        vec![participant_id(index), tumour.class.name().to_owned()]
    };
    TabularFile {
        stem: "participants".into(),
        columns: vec![
            ("participant_id", "participant"),
            ("class", "GN ganglioneuroma, GNB ganglioneuroblastoma, NB neuroblastoma"),
        ],
        rows: tumours.iter().enumerate().map(row).collect(),
    }
}

fn group_truth(tumours: &[Tumour]) -> Vec<GroupTruthRow> {
    type Quantity = (&'static str, &'static str, f64, Unit, fn(&Tumour) -> f64);
    let diffusivity = Unit::SquareMillimetrePerSecond;
    let quantities: [Quantity; 4] = [
        ("viable", "adc", 1e-3, diffusivity, |t| t.viable_adc[0]),
        ("tumour", "adc", 1e-3, diffusivity, Tumour::naive_adc),
        ("viable", "iauc60", 1.0, Unit::MillimolarSecond, |t| t.viable_iauc60[0]),
        ("tumour", "iauc60", 1.0, Unit::MillimolarSecond, Tumour::naive_iauc60),
    ];
    let mut rows = Vec::new();
    for class in Class::ALL {
        for (region, parameter, factor, unit, quantity) in quantities {
            let members = tumours.iter().filter(|tumour| tumour.class == class);
            let values: Vec<f64> = members.map(|tumour| factor * quantity(tumour)).collect();
            let (mean, percent) = class_summary(&values);
            for (statistic, value, units) in
                [("mean", mean, unit.symbol()), ("percent_uncertainty", percent, "%")]
            {
                let group = class.name().to_owned();
                rows.push(GroupTruthRow { group, region, parameter, statistic, value, units });
            }
        }
    }
    rows
}

#[derive(Debug)]
struct Tumours {
    settings: NeuroblastomaSettings,
    tumours: Vec<Tumour>,
}

impl StudySource for Tumours {
    fn n_studies(&self) -> usize {
        self.tumours.len()
    }

    fn study(&self, index: usize) -> Result<SimulatedStudy> {
        imaging::study(&self.settings, &participant_id(index), &self.tumours[index])
    }
}
