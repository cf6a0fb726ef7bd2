//! One tumour.

/// Which voxels of a tumour a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selection {
    /// All voxels with a finite estimate.
    Naive,
    /// Kept by the quality gate and within the reported habitat.
    Method,
}

/// Mean and spread over the voxels of one selection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean over the voxels.
    pub mean: f64,
    /// SD over the voxels, n − 1; `None` for one voxel.
    pub standard_deviation: Option<f64>,
    /// Number of voxels.
    pub n: usize,
    /// Standard error of the mean from the measurement: what it would vary by if the same tumour were
    /// measured again; `None` where it was not estimated.
    pub standard_error: Option<f64>,
}

impl Summary {
    /// 100·SD/mean; `None` without an SD or where the mean is 0.
    pub fn percent_uncertainty(&self) -> Option<f64> {
        percent(self.standard_deviation?, self.mean)
    }
}

pub(super) fn percent(standard_deviation: f64, mean: f64) -> Option<f64> {
    let percent = 100.0 * standard_deviation / mean;
    percent.is_finite().then_some(percent)
}

/// One tumour of one patient, one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Tumour {
    /// Participant, such as `sub-01`.
    pub subject: String,
    /// Class, such as `NB`.
    pub class: String,
    /// Average of all voxels; `None` where none has an estimate.
    pub naive: Option<Summary>,
    /// Average of the reported habitat; `None` where too little of the tumour is left.
    pub method: Option<Summary>,
}

impl Tumour {
    /// The summary of one selection.
    pub fn summary(&self, selection: Selection) -> Option<Summary> {
        match selection {
            Selection::Naive => self.naive,
            Selection::Method => self.method,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_uncertainty_needs_a_spread_and_a_mean() {
        let summary = |mean, standard_deviation| {
            let (n, standard_error) = (9, None);
            Summary { mean, standard_deviation, n, standard_error }
        };
        let percent = summary(0.54, Some(0.108)).percent_uncertainty().unwrap();
        assert!((percent - 20.0).abs() < 1e-12);
        assert_eq!(summary(0.54, None).percent_uncertainty(), None);
        assert_eq!(summary(0.0, Some(0.1)).percent_uncertainty(), None);
    }
}
