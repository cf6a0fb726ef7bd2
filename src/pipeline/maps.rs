//! Maps of one session into the output folder, each with its sidecar.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::joint::JointResult;
use super::locate::SessionItem;
use super::measure;
use super::session::{FitResult, SessionResult, ThicknessResult};
use crate::acquisition::Protocol;
use crate::error::Result;
use crate::image::Volume;
use crate::io::bids::Name;
use crate::io::derivatives::{DerivativeName, MapMetadata, source_uri};
use crate::io::{atomic, mesh, nifti, sidecar};
use crate::model::FitStatus;
use crate::unit::Unit;

/// Writes all maps of a session; gives their paths in the output folder.
///
/// # Errors
///
/// `Create` or `Write` as of the file system.
pub fn write(session: &SessionResult<'_>, output: &Path) -> Result<Vec<String>> {
    let mut writer = Writer { item: session.item, output, written: Vec::new() };
    for fit in &session.fits {
        let alone = session
            .fits
            .iter()
            .filter(|other| datatype(&other.protocol) == datatype(&fit.protocol));
        let shares = alone.filter(|other| other.plan.name != fit.plan.name).count() > 0;
        writer.fit(fit, if shares { &fit.plan.name } else { "" })?;
    }
    for joint in &session.joint {
        writer.joint(session, joint)?;
    }
    for thickness in &session.thickness {
        writer.thickness(thickness)?;
    }
    Ok(writer.written)
}

/// BIDS folder of the maps of a protocol.
fn datatype(protocol: &Protocol) -> &'static str {
    match protocol {
        Protocol::Diffusion(_) => "dwi",
        Protocol::MultiEcho(_) | Protocol::VariableFlipAngle(_) => "anat",
        Protocol::Dynamic(_) => "perf",
    }
}

/// Label of `desc-` for a model: what made the estimate.
fn description_label(model: &str) -> &str {
    match model {
        "adc" | "t2" => "monoexp",
        "t1_vfa" => "vfa",
        "t2_epg" => "epg",
        other => other,
    }
}

fn habitat_legend(k: usize) -> Vec<(u8, String)> {
    let name = |k: u8| if k == 0 { "none".into() } else { format!("habitat-{k}") };
    (0..=k as u8).map(|k| (k, name(k))).collect()
}

struct Writer<'a> {
    item: &'a SessionItem,
    output: &'a Path,
    written: Vec<String>,
}

/// What the maps of one fit share.
struct Common<'a> {
    item: &'a SessionItem,
    fit: &'a FitResult<'a>,
    entities: Vec<(String, String)>,
    metadata: MapMetadata,
}

impl Writer<'_> {
    fn fit(&mut self, fit: &FitResult<'_>, prefix: &str) -> Result<()> {
        let common = Common {
            item: self.item,
            fit,
            entities: entities(&fit.item.source.images[0], fit.item.knee.as_deref()),
            metadata: self.metadata(fit)?,
        };
        let label = description_label(&fit.plan.model);
        for (index, parameter) in fit.voxels.parameters.iter().enumerate() {
            let [low, high] = parameter.display_window;
            let estimate = fit.voxels.fits.estimate_map(index)?;
            let name = common.name(label, parameter.suffix);
            self.map(&common, &name, &estimate, ([low, high], parameter.unit))?;
            let stderr = fit.voxels.fits.standard_error_map(index)?;
            let name = common.name(&format!("{label}Stderr"), parameter.suffix);
            self.map(&common, &name, &stderr, ([0.0, (high - low) / 10.0], parameter.unit))?;
        }
        for quality in fit.voxels.quality_columns() {
            let map = fit.voxels.fits.column_map(&quality.values)?;
            let name = common.name(&format!("{label}{}", quality.label), fit.headline().suffix);
            let path = path_of(&name)?;
            nifti::write_map(&self.output.join(&path), &map, &fit.header, quality.window)?;
            let description = quality.description.into();
            let metadata = MapMetadata { unit: Unit::One, description, ..common.metadata.clone() };
            self.sidecar(&path, &metadata.object()?)?;
        }
        self.shrunken(&common, label)?;
        self.codes(&common, prefix)
    }

    /// The headline parameter drawn towards the habitats by what its uncertainty leaves open.
    fn shrunken(&mut self, common: &Common<'_>, label: &str) -> Result<()> {
        let fit = common.fit;
        let Some(region) = &fit.voxels.shrunken else { return Ok(()) };
        let mut values = vec![f64::NAN; fit.voxels.fits.n_voxels()];
        for (&place, &value) in region.places.iter().zip(&region.shrunken.values) {
            values[place] = value;
        }
        let map = fit.voxels.fits.column_map(&values)?;
        let headline = fit.headline();
        let name = common.name(&format!("{label}Shrunken"), headline.suffix);
        self.map(common, &name, &map, (headline.display_window, headline.unit))
    }

    fn codes(&mut self, common: &Common<'_>, prefix: &str) -> Result<()> {
        let fit = common.fit;
        let named = |what: &str| {
            if prefix.is_empty() { what.to_owned() } else { format!("{prefix}{what}") }
        };
        let status = path_of(&common.name(&named("status"), "dseg"))?;
        nifti::write_codes(&self.output.join(&status), &fit.voxels.fits.status_map(), &fit.header)?;
        let legend: Vec<(u8, String)> =
            FitStatus::ALL.iter().map(|status| (status.code(), status.name().into())).collect();
        self.described(&status, "why the fit of each voxel ended", common, Some(&legend))?;

        let keep = path_of(&common.name(&named("keep"), "mask"))?;
        nifti::write_mask(&self.output.join(&keep), &fit.voxels.gate.keep, &fit.header)?;
        self.described(&keep, "voxels that the quality gate kept", common, None)?;

        if let Some(groups) = &fit.voxels.groups {
            let indices = fit.voxels.fits.mask.indices();
            let mut codes = Volume::from_fn(*fit.header.grid(), |_| 0_u8);
            for (&place, &label) in groups.places.iter().zip(&groups.habitats.labels) {
                codes.voxels_mut()[indices[place]] = label;
            }
            let path = path_of(&common.name(&named("habitat"), "dseg"))?;
            nifti::write_codes(&self.output.join(&path), &codes, &fit.header)?;
            let legend = habitat_legend(groups.habitats.k());
            self.described(&path, "groups of voxels by rising mean", common, Some(&legend))?;
        }
        Ok(())
    }

    fn joint(&mut self, session: &SessionResult<'_>, joint: &JointResult<'_>) -> Result<()> {
        let (Some(habitats), Some(&place)) = (&joint.habitats, joint.fits.first()) else {
            return Ok(());
        };
        let fit = &session.fits[place];
        let common = Common {
            item: self.item,
            fit,
            entities: entities(&fit.item.source.images[0], joint.knee.as_deref()),
            metadata: self.metadata(fit)?,
        };
        let mut codes = Volume::from_fn(*fit.header.grid(), |_| 0_u8);
        for (&index, &label) in joint.indices.iter().zip(&habitats.labels) {
            codes.voxels_mut()[index] = label;
        }
        let label = format!("{}habitat", letters(&joint.plan.name));
        let path = path_of(&common.name(&label, "dseg"))?;
        nifti::write_codes(&self.output.join(&path), &codes, &fit.header)?;
        let legend = habitat_legend(habitats.k());
        let description =
            format!("groups of voxels in the space of {}", joint.plan.fits.join(", "));
        self.described(&path, &description, &common, Some(&legend))
    }

    fn thickness(&mut self, result: &ThicknessResult<'_>) -> Result<()> {
        let entities = entities(&result.item.labels, result.item.knee.as_deref());
        let name = |suffix: &str, extension: &str| DerivativeName {
            participant: self.item.participant_id.clone(),
            session: self.item.session_id.clone(),
            datatype: "anat".into(),
            entities: [entities.clone(), vec![("desc".into(), letters(&result.plan.name))]]
                .concat(),
            suffix: suffix.into(),
            extension: extension.into(),
        };
        let map = path_of(&name("thickness", ".nii.gz"))?;
        nifti::write_map(
            &self.output.join(&map),
            &result.thickness.map(),
            &result.header,
            [0.0, 5.0],
        )?;
        let source = self.source(&result.item.labels);
        let method = result.thickness.method;
        let metadata = MapMetadata {
            sources: vec![source],
            description: "cartilage thickness at the articular surface".into(),
            estimation_algorithm: format!("{}, {}", method.summary(), method.name()),
            estimation_reference: method.reference().into(),
            unit: Unit::Millimetre,
            spatial_reference: None,
            skull_stripped: None,
            acquisition: Map::new(),
        };
        self.sidecar(&map, &metadata.object()?)?;
        let Some(surfaces) = &result.thickness.surfaces else { return Ok(()) };
        let surface = path_of(&name("articular", ".surf.gii"))?;
        mesh::write_gifti_surface(&self.output.join(&surface), &surfaces.articular)?;
        let shape = path_of(&name("thickness", ".shape.gii"))?;
        let values = &result.thickness.vertex_thickness_mm;
        mesh::write_gifti_shape(&self.output.join(&shape), "thickness_mm", values)?;
        self.written.extend([surface, shape]);
        Ok(())
    }

    fn map(
        &mut self,
        common: &Common<'_>,
        name: &DerivativeName,
        map: &Volume<f32>,
        (window, unit): ([f64; 2], Unit),
    ) -> Result<()> {
        let path = path_of(name)?;
        nifti::write_map(&self.output.join(&path), map, &common.fit.header, window)?;
        let metadata = MapMetadata { unit, ..common.metadata.clone() };
        self.sidecar(&path, &metadata.object()?)
    }

    fn described(
        &mut self,
        path: &str,
        description: &str,
        common: &Common<'_>,
        legend: Option<&[(u8, String)]>,
    ) -> Result<()> {
        let mut object = Map::new();
        object.insert("Description".into(), description.into());
        object.insert("Sources".into(), common.metadata.sources.clone().into());
        if path.ends_with("_mask.nii.gz") {
            object.insert("Type".into(), "ROI".into());
        }
        if let Some(legend) = legend {
            let rows = legend.iter().map(|(index, name)| format!("{index}\t{name}\n"));
            let rows = rows.collect::<Vec<_>>().concat();
            let table = path.replace(".nii.gz", ".tsv");
            atomic::write(&self.output.join(&table), format!("index\tname\n{rows}").as_bytes())?;
            self.written.push(table);
        }
        self.sidecar(path, &object)
    }

    /// Notes the image and writes its sidecar.
    fn sidecar(&mut self, path: &str, object: &Map<String, Value>) -> Result<()> {
        let json = path.replace(".nii.gz", ".json");
        sidecar::write(&self.output.join(&json), object)?;
        self.written.extend([path.to_owned(), json]);
        Ok(())
    }

    fn source(&self, path: &Path) -> String {
        source_uri("raw", &PathBuf::from(self.item.relative(path)))
    }

    fn metadata(&self, fit: &FitResult<'_>) -> Result<MapMetadata> {
        let measure = measure::named(&fit.plan.model)?;
        let mut acquisition =
            fit.item.source.sidecars.first().map(sidecar::Sidecar::copied).unwrap_or_default();
        let (key, values) = match &fit.protocol {
            Protocol::MultiEcho(p) => ("EchoTime", p.echo_times_s()),
            Protocol::Dynamic(p) => ("VolumeTiming", p.frame_times_s()),
            Protocol::Diffusion(_) | Protocol::VariableFlipAngle(_) => ("", &[][..]),
        };
        if !values.is_empty() {
            acquisition.insert(key.into(), sidecar::numbers(values)?);
        }
        if let Protocol::VariableFlipAngle(p) = &fit.protocol {
            let degrees: Vec<f64> = p.flip_angles_rad().iter().map(|a| a.to_degrees()).collect();
            acquisition.insert("FlipAngle".into(), sidecar::numbers(&degrees)?);
        }
        let mut sources: Vec<String> =
            fit.item.source.images.iter().map(|path| self.source(path)).collect();
        sources.extend(fit.item.region.iter().map(|path| self.source(path)));
        Ok(MapMetadata {
            sources,
            description: measure.summary.into(),
            estimation_algorithm: format!("{}, {}", fit.plan.model, fit.plan.estimator),
            estimation_reference: measure.reference.into(),
            unit: fit.headline().unit,
            spatial_reference: None,
            skull_stripped: Some(false),
            acquisition,
        })
    }
}

impl Common<'_> {
    fn name(&self, description: &str, suffix: &str) -> DerivativeName {
        let mut entities = self.entities.clone();
        entities.push(("desc".into(), letters(description)));
        DerivativeName {
            participant: self.item.participant_id.clone(),
            session: self.item.session_id.clone(),
            datatype: datatype(&self.fit.protocol).into(),
            entities,
            suffix: suffix.into(),
            extension: ".nii.gz".into(),
        }
    }
}

fn path_of(name: &DerivativeName) -> Result<String> {
    Ok(name.path()?.to_string_lossy().replace('\\', "/"))
}

/// Entities of the source that tell its maps from others of the session.
fn entities(source: &Path, knee: Option<&str>) -> Vec<(String, String)> {
    let file = source.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = file.as_deref().and_then(Name::parse);
    let kept = |key: &str| ["acq", "run", "dir", "ce"].contains(&key);
    let mut entities: Vec<(String, String)> = name
        .iter()
        .flat_map(|name| name.entities.iter())
        .filter(|(key, _)| kept(key))
        .map(|(key, label)| (key.clone(), label.clone()))
        .collect();
    if entities.is_empty() {
        entities.extend(knee.map(|knee| ("acq".to_owned(), format!("{}knee", letters(knee)))));
    }
    entities
}

/// BIDS labels are letters and digits.
fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}
