//! A simulated cohort as a BIDS dataset on disk.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::image::{Labels, Samples, Series, Volume};
use crate::io::atomic;
use crate::io::nifti::{self, Header};
use crate::simulate::{
    Content, GradientTable, KnownMotion, SimulatedCohort, SimulatedImage, SimulatedStudy,
    TabularFile, TruthRow, truth_file,
};

/// What stands behind the files of a dataset.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Every true number of every study.
    pub truth: Vec<TruthRow>,
    /// Every movement between two images of one study.
    pub movements: Vec<Movement>,
}

/// A known movement between the anatomical and the quantitative image.
#[derive(Debug, Clone)]
pub struct Movement {
    /// Such as `sub-01`.
    pub participant_id: String,
    /// Such as `ses-pre`.
    pub session_id: Option<String>,
    /// Such as `rightknee`.
    pub region: String,
    /// The movement.
    pub motion: KnownMotion,
}

/// Writes `cohort` under `folder`, study after study; `told` hears the name of each. Returns the truth
/// behind all of it.
///
/// # Errors
///
/// `Create` or `Write` as of the file system; as the simulation itself.
pub fn write(cohort: &SimulatedCohort, folder: &Path, told: &dyn Fn(&str)) -> Result<Written> {
    for (place, description) in &cohort.descriptions {
        write_json(&folder.join(place).join("dataset_description.json"), description)?;
    }
    atomic::write(&folder.join("README"), cohort.readme.as_bytes())?;
    let ignored = cohort.bids_ignore.iter().fold(String::new(), |text, line| text + line + "\n");
    atomic::write(&folder.join(".bidsignore"), ignored.as_bytes())?;
    for table in &cohort.tables {
        write_table(folder, table)?;
    }
    let mut written = Written::default();
    for study in cohort.studies() {
        let study = study?;
        told(&name(&study));
        for image in &study.images {
            write_image(folder, image)?;
        }
        let SimulatedStudy { participant_id, session_id, truth, motions, .. } = study;
        written.truth.extend(truth);
        written.movements.extend(motions.into_iter().map(|(region, motion)| Movement {
            participant_id: participant_id.clone(),
            session_id: session_id.clone(),
            region,
            motion,
        }));
    }
    write_table(folder, &truth_file(&written.truth))?;
    write_table(folder, &cohort.group_truth_file())?;
    Ok(written)
}

fn name(study: &SimulatedStudy) -> String {
    match &study.session_id {
        Some(session) => format!("{}_{session}", study.participant_id),
        None => study.participant_id.clone(),
    }
}

fn write_image(folder: &Path, image: &SimulatedImage) -> Result<()> {
    let file = |extension: &str| folder.join(format!("{}{extension}", image.stem));
    let nifti_path = file(".nii.gz");
    match &image.content {
        Content::Series { series, gradients } => {
            write_series(&nifti_path, series)?;
            if let Some(gradients) = gradients {
                write_gradients(&file(".bval"), &file(".bvec"), gradients)?;
            }
        }
        Content::Mask(mask) => {
            nifti::write_mask(&nifti_path, mask, &Header::of_grid(*mask.grid()))?;
        }
        Content::Labels(labels) => {
            nifti::write_labels(&nifti_path, labels.volume(), &Header::of_grid(*labels.grid()))?;
            atomic::write(&file(".tsv"), label_names(labels).as_bytes())?;
        }
        Content::Map(map) => {
            let voxels = map.volume.voxels();
            let window = voxels.iter().fold([0.0_f64, 0.0], |[low, high], &value| {
                [low.min(f64::from(value)), high.max(f64::from(value))]
            });
            nifti::write_map(
                &nifti_path,
                &map.volume,
                &Header::of_grid(*map.volume.grid()),
                window,
            )?;
        }
        Content::Record => {}
    }
    write_json(&file(".json"), &image.sidecar)
}

/// With noise as scanners store it, scaled int16; without noise in floating point.
fn write_series(path: &Path, series: &Series) -> Result<()> {
    if matches!(series.samples(), Samples::Single(_)) {
        return nifti::write_scanner_series(path, series, None);
    }
    let header = Header::of_grid(*series.grid());
    let volumes: Vec<Volume<f32>> = (0..series.n_volumes())
        .map(|volume| series.volume(volume).map(|&signal| signal as f32))
        .collect();
    nifti::write_series_map(path, &volumes, &header, None)
}

fn write_gradients(bval: &Path, bvec: &Path, gradients: &GradientTable) -> Result<()> {
    let row = |values: &mut dyn Iterator<Item = f64>| {
        values.map(|value| value.to_string()).collect::<Vec<_>>().join(" ") + "\n"
    };
    let b_values = row(&mut gradients.b_values_s_per_mm2.iter().copied());
    atomic::write(bval, b_values.as_bytes())?;
    let directions = [0, 1, 2]
        .map(|axis| row(&mut gradients.directions.iter().map(|direction| direction[axis])))
        .concat();
    atomic::write(bvec, directions.as_bytes())
}

fn label_names(labels: &Labels) -> String {
    labels.values().iter().fold(String::from("index\tname\n"), |mut text, &value| {
        let _ = writeln!(text, "{value}\t{}", labels.name(value));
        text
    })
}

fn write_table(folder: &Path, table: &TabularFile) -> Result<()> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let mut text = names.join("\t") + "\n";
    for row in &table.rows {
        text.push_str(&row.join("\t"));
        text.push('\n');
    }
    atomic::write(&folder.join(format!("{}.tsv", table.stem)), text.as_bytes())?;
    write_json(&folder.join(format!("{}.json", table.stem)), &table.dictionary())
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal(format!("sidecar cannot be written: {error}")))?;
    atomic::write(path, (text + "\n").as_bytes())
}
