//! `biomarker thickness`: cartilage thickness of one label image.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::json;

use super::{Common, Outcome, console};
use crate::error::Result;
use crate::image::Labels;
use crate::io::nifti::{self, ReadLimits};
use crate::io::{mesh, sidecar};
use crate::thickness::{Method, Settings, Thickness, measure};

/// Options of `biomarker thickness`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Label image.
    labels: PathBuf,
    /// Label values of the cartilage.
    #[arg(long, required = true, value_delimiter = ',', value_name = "VALUES")]
    cartilage: Vec<u32>,
    /// Label values of the bone under it; without them the bone side is guessed from its shape.
    #[arg(long, value_delimiter = ',', value_name = "VALUES")]
    bone: Vec<u32>,
    /// What thickness means.
    #[arg(long, value_enum, default_value = "edt-subvoxel")]
    method: Definition,
    /// Folder of the results.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Definition {
    /// Shortest distance between smooth sub-voxel surfaces.
    #[value(alias = "edt_subvoxel")]
    EdtSubvoxel,
    /// Shortest distance from voxel centre to voxel centre.
    #[value(alias = "edt_voxel")]
    EdtVoxel,
    /// Along the normal of the articular surface.
    Normal,
    /// Diameter of the largest ball between the surfaces.
    Local,
    /// Along the field lines of a potential between the surfaces.
    Laplace,
}

/// Measures, writes map and surface, and says what was found.
pub(super) fn run(options: &Options, common: &Common) -> Outcome {
    let thickness = measured(options).map_err(|error| vec![error])?;
    let summary = &thickness.summary;
    let warnings: Vec<String> = thickness.warnings.iter().map(ToString::to_string).collect();
    if common.json {
        let result = json!({
            "method": thickness.method.name(),
            "points": summary.n_points,
            "mean_mm": summary.mean_mm,
            "median_mm": summary.median_mm,
            "p25_mm": summary.p25_mm,
            "sd_mm": summary.sd_mm,
            "articular_area_mm2": summary.area_mm2,
            "volume_mm3": summary.volume_mm3,
            "warnings": warnings,
        });
        console::print(&result.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    if !common.quiet {
        for warning in &warnings {
            console::note(&format!("warning: {warning}"));
        }
    }
    console::print(&format!(
        "thickness {:.4} ± {:.4} mm (median {:.4}, P25 {:.4}) by {} at {} points, {:.1} mm²; \
         volume {:.1} mm³",
        summary.mean_mm,
        summary.sd_mm,
        summary.median_mm,
        summary.p25_mm,
        thickness.method.name(),
        summary.n_points,
        summary.area_mm2,
        summary.volume_mm3
    ));
    Ok(ExitCode::SUCCESS)
}

fn measured(options: &Options) -> Result<Thickness> {
    let read = nifti::read_labels(&options.labels, &ReadLimits::default())?;
    let labels = Labels::new(read.image, BTreeMap::new());
    let cartilage = labels.mask_of(&options.cartilage);
    let bone = (!options.bone.is_empty()).then(|| labels.mask_of(&options.bone));
    let method = match options.method {
        Definition::EdtSubvoxel => Method::Subvoxel,
        Definition::EdtVoxel => Method::Voxel,
        Definition::Normal => Method::Normal,
        Definition::Local => Method::Local,
        Definition::Laplace => Method::Laplace,
    };
    let settings = Settings { method, ..Settings::default() };
    let thickness = measure(&cartilage, bone.as_ref(), &settings)
        .map_err(|error| error.at_path(&options.labels))?;
    write(options, &thickness, &read.header)?;
    Ok(thickness)
}

fn write(options: &Options, thickness: &Thickness, header: &nifti::Header) -> Result<()> {
    let name = options.labels.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = name.trim_end_matches(".gz").trim_end_matches(".nii");
    let path = |end: &str| options.output.join(format!("{stem}_{end}"));
    nifti::write_map(&path("thickness.nii.gz"), &thickness.map(), header, [0.0, 5.0])?;
    let mut object = serde_json::Map::new();
    object.insert("Description".into(), "cartilage thickness at the articular surface".into());
    object.insert("Sources".into(), vec![name.clone()].into());
    object.insert("EstimationAlgorithm".into(), thickness.method.name().into());
    object.insert("Units".into(), "mm".into());
    sidecar::write(&path("thickness.json"), &object)?;
    if let Some(surfaces) = &thickness.surfaces {
        let values = &thickness.vertex_thickness_mm;
        mesh::write_gifti_surface(&path("articular.surf.gii"), &surfaces.articular)?;
        mesh::write_gifti_shape(&path("thickness.shape.gii"), "thickness_mm", values)?;
        mesh::write_ply(&path("thickness.ply"), &surfaces.articular, "thickness_mm", values)?;
    }
    Ok(())
}
