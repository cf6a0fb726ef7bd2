//! Everything that can be said about a run without reading a voxel.

use std::path::{Path, PathBuf};

use super::load::{file_name, require_count};
use super::locate::{self, FitItem, SessionItem};
use super::memory;
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::io::bids::Filter;
use crate::io::nifti::{self, ReadLimits};

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Sessions looked at.
    pub n_sessions: usize,
    /// Series looked at.
    pub n_series: usize,
    /// What would stop a session.
    pub errors: Vec<Error>,
    /// What a user should look at, each a sentence.
    pub warnings: Vec<String>,
}

/// Sidecar keys that point to a person.
const IDENTIFIERS: [&str; 8] = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
];

/// Locates every session of `plan` and reads every header.
///
/// # Errors
///
/// Where there is nothing to look at at all; what is wrong with a session stands in the findings.
pub fn check(plan: &Plan, filter: &Filter, limits: &ReadLimits) -> Result<Findings> {
    let mut findings = Findings::default();
    for located in locate::sessions(plan, filter)? {
        findings.n_sessions += 1;
        match located.item {
            Ok(item) => session(&item, limits, &mut findings),
            Err(error) => findings.errors.push(error),
        }
    }
    findings.warnings.sort();
    findings.warnings.dedup();
    Ok(findings)
}

fn session(item: &SessionItem, limits: &ReadLimits, findings: &mut Findings) {
    let n_errors = findings.errors.len();
    for fit in &item.fits {
        findings.n_series += 1;
        if let Err(error) = series(fit, limits, findings) {
            findings.errors.push(error);
        }
        for path in fit.region.iter().chain(&fit.t10_map) {
            if let Err(error) = nifti::read_header(path, limits) {
                findings.errors.push(error);
            }
        }
        for sidecar in &fit.source.sidecars {
            for key in IDENTIFIERS.into_iter().filter(|key| sidecar.get(key).is_some()) {
                findings.warnings.push(format!(
                    "{}: `{key}` may identify a person; it is never copied to outputs",
                    file_name(sidecar.place_of(key))
                ));
            }
        }
    }
    for labels in &item.thickness {
        if let Err(error) = nifti::read_header(&labels.labels, limits) {
            findings.errors.push(error);
        }
    }
    // Memory is estimated from the headers: those that cannot be read are told of above.
    if findings.errors.len() == n_errors
        && let Err(error) = memory::require(item, limits)
    {
        findings.errors.push(error);
    }
}

/// Grids of one series agree and its volumes are as many as its protocol says.
fn series(fit: &FitItem, limits: &ReadLimits, findings: &mut Findings) -> Result<()> {
    let mut first = None;
    let mut n_volumes = 0;
    for path in &fit.source.images {
        let header = nifti::read_header(path, limits)?;
        let warnings = header.warnings().iter();
        findings.warnings.extend(warnings.map(|text| format!("{}: {text}", file_name(path))));
        n_volumes += header.n_volumes();
        let grid = *header.grid();
        first.get_or_insert(grid).require_same(&grid).map_err(|error| error.at_path(path))?;
    }
    let place = fit.source.images.first().map_or(Path::new(""), PathBuf::as_path);
    require_count(n_volumes, &fit.source.protocol).map_err(|error| error.at_path(place))
}
