//! `biomarker inspect`: what a file or dataset is.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Common, Outcome, console};
use crate::error::Result;
use crate::io::bids::{Dataset, Filter};
use crate::io::nifti::{self, ReadLimits};
use crate::statistics::moments::Moments;

/// Options of `biomarker inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A NIfTI image or the folder of a BIDS dataset.
    path: PathBuf,
}

/// Prints header and values of an image, or the participants of a dataset.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
    let found = if options.path.is_dir() { dataset(&options.path) } else { image(&options.path) };
    let found = found.map_err(|error| vec![error])?;
    if common.json {
        console::print(&found.to_string());
    } else {
        console::print(&lines(&found));
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(value: &Value) -> String {
    let entries = value.as_object().into_iter().flatten();
    let lines: Vec<String> = entries
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key:<16} {text}"),
            other => format!("{key:<16} {other}"),
        })
        .collect();
    lines.join("\n")
}

fn dataset(path: &Path) -> Result<Value> {
    let dataset = Dataset::open(path)?;
    let visits = dataset.visits(&Filter::default())?;
    let names: Vec<String> = visits
        .iter()
        .map(|visit| match visit.session_id() {
            Some(session) => format!("{}_{session}", visit.participant.id),
            None => visit.participant.id.clone(),
        })
        .collect();
    Ok(json!({
        "kind": "BIDS dataset",
        "bids_version": dataset.bids_version(),
        "participants": dataset.participants().len(),
        "sessions": names,
        "warnings": dataset.warnings(),
    }))
}

fn image(path: &Path) -> Result<Value> {
    let limits = ReadLimits::default();
    let read = nifti::read_series(path, &limits)?;
    let header = &read.header;
    let grid = header.grid();
    let mut finite = Vec::new();
    for volume in 0..read.image.n_volumes() {
        let signals = read.image.volume(volume).into_voxels();
        finite.extend(signals.into_iter().filter(|signal| signal.is_finite()));
    }
    let moments = Moments::of(&finite);
    let smallest = finite.iter().copied().min_by(f64::total_cmp);
    let largest = finite.iter().copied().max_by(f64::total_cmp);
    Ok(json!({
        "kind": format!("{:?}", header.version()),
        "shape": grid.shape(),
        "volumes": read.image.n_volumes(),
        "datatype": header.datatype().name(),
        "byte_order": format!("{:?}", header.byte_order()),
        "scaling": [header.scaling().slope, header.scaling().intercept],
        "spacing_mm": grid.affine().spacing_mm(),
        "affine": grid.affine().matrix(),
        "affine_from": format!("{:?}", header.affine_source()),
        "minimum": smallest,
        "maximum": largest,
        "mean": moments.map(|moments| moments.mean()),
        "sd": moments.and_then(|moments| moments.standard_deviation()),
        "non_finite": read.n_non_finite,
        "warnings": read.warnings,
    }))
}
