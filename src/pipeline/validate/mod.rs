//! Public reference values side by side with ours, as one page.
//!
//! Every real series of the validation data is mapped by the very code behind `biomarker map` and
//! `biomarker thickness`; the maps are read back as a user would and compared with values of other
//! software, voxel by voxel. A voxel that is not compared is counted with its reason. What is not
//! there is said, never skipped in silence.

mod bench;
mod cartilage;
mod cohort;
mod comparison;
mod coverage;
mod diffusion;
mod dynamic;
mod knees;
mod page;
mod power;
mod reference;
mod relaxation;

use std::path::Path;

pub use bench::Fate;
pub use cohort::{Check, CohortReport, cohort};
pub use comparison::{Comparison, Judged, Verdict};
pub use coverage::{
    Cell, CoverageReport, CoverageRow, CoverageSettings, coverage, expected_coverage,
};
pub use knees::{KneesReport, knees};
pub use power::power_table;

use crate::error::{Error, ErrorKind, Result};
use crate::io::atomic;
use bench::Bench;

/// One dataset and what was found on it.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// Where the data come from and under which licence.
    pub attribution: &'static str,
    /// What a user would type, with paths inside the validation data.
    pub commands: Vec<String>,
    /// What became of the voxels of every series.
    pub fates: Vec<Fate>,
    /// Ours beside theirs.
    pub comparisons: Vec<Comparison>,
    /// What the reader should know, each a sentence.
    pub notes: Vec<String>,
    /// Files that are needed and not there; nothing was run on this dataset then.
    pub absent: Vec<String>,
}

/// Everything that was compared.
#[derive(Debug, Clone)]
pub struct Report {
    /// One per dataset.
    pub sections: Vec<Section>,
}

impl Report {
    /// All comparisons of all datasets.
    pub fn comparisons(&self) -> impl Iterator<Item = &Comparison> {
        self.sections.iter().flat_map(|section| &section.comparisons)
    }

    /// Whether no comparison is outside its limit.
    pub fn agrees(&self) -> bool {
        self.comparisons().all(|comparison| comparison.verdict() != Verdict::Disagrees)
    }

    /// Writes `real_data.md` into `folder`.
    ///
    /// # Errors
    ///
    /// `Create` or `Write` as of the file system.
    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic::write(&folder.join("real_data.md"), page::render(self).as_bytes())
    }
}

/// Compares everything that is in the folder `data`.
///
/// # Errors
///
/// `Missing` when there is no such folder or it holds none of the datasets; else as reading and
/// mapping. A dataset that is not there is no error: its section says so.
pub fn validate(data: &Path) -> Result<Report> {
    let bench = Bench::new(data)?;
    let sections = [
        diffusion::prostate,
        diffusion::calf,
        diffusion::brain_mrtrix,
        diffusion::brain_dipy,
        relaxation::knee,
        relaxation::stimulated,
        relaxation::prostate,
        dynamic::breast,
        dynamic::phantom,
        cartilage::knee,
    ];
    let sections = sections.iter().map(|section| section(&bench)).collect::<Result<Vec<_>>>()?;
    if sections.iter().all(|section| !section.absent.is_empty()) {
        return Err(Error::new(ErrorKind::Missing, "none of the validation data is here")
            .at_path(data)
            .hint("the folder that holds dwi/, dce/, t2/ and cartilage/ is needed"));
    }
    Ok(Report { sections })
}
