//! One session of one participant, from its files to its results.

use std::collections::BTreeMap;
use std::path::Path;

use super::align::{Alignment, registered_region, without_motion};
use super::joint::{JointResult, joint_habitats};
use super::load::LoadedSeries;
use super::locate::{FitItem, SessionItem, ThicknessItem};
use super::observer::{Event, Observer};
use super::parts::{self, Placement};
use super::plan::{FitPlan, LabelErrorPlan, Motion, Plan, RegionPlan, ThicknessPlan};
use super::registered::{Anatomy, Bridge, Registered, register};
use super::voxels::{VoxelResult, VoxelWork, measure_voxels};
use crate::acquisition::Protocol;
use crate::error::{Error, Result};
use crate::image::resample::{carry_labels, mask_from_fraction, resample_linear};
use crate::image::{Grid, Labels, Mask, Series, Volume};
use crate::io::nifti::{self, Header, ReadLimits};
use crate::model::Parameter;
use crate::random::StreamKey;
use crate::registration::Registration;
use crate::statistics::quantile::median;
use crate::thickness::{
    LabelError, Method, Parcellation, Settings, SmearedThickness, Thickness, measure, smear,
};

/// One fit of one series, done.
#[derive(Debug)]
pub struct FitResult<'a> {
    /// Its settings.
    pub plan: &'a FitPlan,
    /// Its files.
    pub item: &'a FitItem,
    /// Name of the region, with the knee before it.
    pub region: String,
    /// What was played out.
    pub protocol: Protocol,
    /// Header that maps are written with.
    pub header: Header,
    /// Grid of the series as it was measured, which interpolated signals left.
    pub measured_grid: Grid,
    /// First volume, to show maps on.
    pub anatomy: Volume<f32>,
    /// What was moved before the fit.
    pub alignment: Alignment,
    /// What was found.
    pub voxels: VoxelResult,
    /// What the reader should know, each a sentence.
    pub warnings: Vec<String>,
}

/// One label image, measured.
#[derive(Debug)]
pub struct ThicknessResult<'a> {
    /// Its settings.
    pub plan: &'a ThicknessPlan,
    /// Its file.
    pub item: &'a ThicknessItem,
    /// Header that maps are written with.
    pub header: Header,
    /// The cartilage.
    pub cartilage: Mask,
    /// What was found.
    pub thickness: Thickness,
    /// How the cartilage is divided, where that is asked for.
    pub parcellation: Option<Parcellation>,
    /// The same with the labels moved within their error, where that is asked for.
    pub smeared: Option<SmearedThickness>,
}

/// Everything found in one session.
#[derive(Debug)]
pub struct SessionResult<'a> {
    /// Its files.
    pub item: &'a SessionItem,
    /// Fits in the order of the plan, knees in theirs.
    pub fits: Vec<FitResult<'a>>,
    /// Habitats in the space of several fits.
    pub joint: Vec<JointResult<'a>>,
    /// Label images in the order of the knees.
    pub thickness: Vec<ThicknessResult<'a>>,
    /// Where the voxels of fits lie in the cartilage, where it is divided.
    pub placements: Vec<Placement>,
}

/// Measures everything in `item`.
///
/// # Errors
///
/// The first series, region or label image that cannot be used; nothing is written here.
pub fn measure_session<'a>(
    plan: &'a Plan,
    item: &'a SessionItem,
    limits: &ReadLimits,
    observer: &dyn Observer,
) -> Result<SessionResult<'a>> {
    let mut result = SessionResult {
        item,
        fits: Vec::new(),
        joint: Vec::new(),
        thickness: Vec::new(),
        placements: Vec::new(),
    };
    for fit in &item.fits {
        let settings = &plan.fit[fit.fit];
        let subject =
            format!("{}/{}/{}", item.name(), settings.name, knee_name(fit.knee.as_deref()));
        let key = StreamKey::new(plan.study.seed, &subject);
        result.fits.push(fit_result(settings, fit, key, Surroundings { limits, observer })?);
    }
    for joint in &plan.joint_habitat {
        result.joint.extend(joint_habitats(joint, &result.fits)?);
    }
    for labels in &item.thickness {
        let Some(settings) = &plan.thickness else { break };
        let knee = knee_name(labels.knee.as_deref());
        let subject = format!("{}/thickness {}/{knee}", item.name(), settings.name);
        let key = StreamKey::new(plan.study.seed, &subject);
        result.thickness.push(thickness_result(settings, labels, key, limits)?);
    }
    result.placements = parts::placements(&result.fits, &result.thickness);
    Ok(result)
}

fn knee_name(knee: Option<&str>) -> &str {
    knee.unwrap_or("-")
}

/// What every stage may use.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    limits: &'a ReadLimits,
    observer: &'a dyn Observer,
}

fn fit_result<'a>(
    plan: &'a FitPlan,
    item: &'a FitItem,
    key: StreamKey,
    around: Surroundings<'_>,
) -> Result<FitResult<'a>> {
    let mut loaded = item.source.load(around.limits)?;
    let measured_grid = *loaded.series.grid();
    let mut motion = Vec::new();
    if plan.motion == Motion::Rigid {
        (loaded.series, motion) = without_motion(&loaded.series, &loaded.protocol)?;
    }
    let Placed { loaded, beside, bridge } = placed((plan, item), loaded, around.limits)?;
    let Beside { region, registered, fixed, artery, mut warnings } = beside;
    let alignment = Alignment { motion, region: registered };
    let work = VoxelWork {
        plan,
        loaded: &loaded,
        region: &region,
        fixed: &fixed,
        artery: artery.as_ref(),
        key,
        bridge: bridge.as_ref(),
    };
    let first_image = item.source.images.first().map_or(Path::new(""), |path| path.as_path());
    let voxels =
        measure_voxels(work, around.observer).map_err(|error| error.at_path(first_image))?;
    warnings.extend(voxels.warnings.iter().cloned());
    for warning in &warnings {
        around.observer.observe(&Event::Warning(&format!("{}: {warning}", plan.name)));
    }
    let name = plan.region.as_ref().map_or("image", |region| region.name.as_str());
    Ok(FitResult {
        plan,
        item,
        region: with_knee(item.knee.as_deref(), name),
        measured_grid,
        anatomy: loaded.series.volume(0).map(|&signal| signal as f32),
        protocol: loaded.protocol,
        header: loaded.header,
        alignment,
        voxels,
        warnings,
    })
}

/// What belongs to a series, on its grid.
struct Beside {
    region: Mask,
    /// How the region came there, where it was registered.
    registered: Option<Registration>,
    /// Constants per voxel: T10 in s, or the transmit field.
    fixed: Vec<Volume<f64>>,
    artery: Option<Mask>,
    warnings: Vec<String>,
}

/// A series with what belongs to it, on one grid.
struct Placed {
    loaded: LoadedSeries,
    beside: Beside,
    bridge: Option<Bridge>,
}

fn placed(
    (plan, item): (&FitPlan, &FitItem),
    loaded: LoadedSeries,
    limits: &ReadLimits,
) -> Result<Placed> {
    let (Some(_), Some(region), Some(image)) =
        (&plan.registration, &item.region, &item.register_from)
    else {
        if plan.registration.is_some() {
            return Err(Error::mismatch("a registration needs an anatomical image and a region")
                .hint("name `register_from` and `region` of the input"));
        }
        let beside = beside((plan, item), &loaded.series, limits)?;
        return Ok(Placed { loaded, beside, bridge: None });
    };
    let Registered { loaded, region, found, bridge, mut warnings } =
        register(plan, loaded, Anatomy { image, region }, limits)?;
    let fixed = constants(item, loaded.series.grid(), limits, &mut warnings)?;
    let beside = Beside { region, registered: Some(found), fixed, artery: None, warnings };
    Ok(Placed { loaded, beside, bridge: Some(bridge) })
}

/// Constants per voxel: T10 in s, or the transmit field.
fn constants(
    item: &FitItem,
    grid: &Grid,
    limits: &ReadLimits,
    warnings: &mut Vec<String>,
) -> Result<Vec<Volume<f64>>> {
    Ok(match (&item.t10_map, &item.b1_map) {
        (Some(path), _) => vec![t10_on(grid, path, limits, warnings)?],
        (None, Some(path)) => vec![b1_on(grid, path, limits, warnings)?],
        (None, None) => Vec::new(),
    })
}

fn beside(
    (plan, item): (&FitPlan, &FitItem),
    series: &Series,
    limits: &ReadLimits,
) -> Result<Beside> {
    let (grid, mut warnings) = (series.grid(), Vec::new());
    let (region, registered) = match &item.region {
        Some(path) => region_of((plan, item), path, series, limits, &mut warnings)?,
        None => (Mask::full(*grid), None),
    };
    let fixed = constants(item, grid, limits, &mut warnings)?;
    let artery = match &item.artery {
        Some(path) => Some(region_on((grid, path), None, limits, &mut warnings)?),
        None => None,
    };
    Ok(Beside { region, registered, fixed, artery, warnings })
}

/// `right_femoral_cartilage`.
pub fn with_knee(knee: Option<&str>, name: &str) -> String {
    knee.map_or_else(|| name.to_owned(), |knee| format!("{knee}_{name}"))
}

/// The region on the grid of the series; with the transform that carried it, where it was registered.
fn region_of(
    (plan, item): (&FitPlan, &FitItem),
    path: &Path,
    series: &Series,
    limits: &ReadLimits,
    warnings: &mut Vec<String>,
) -> Result<(Mask, Option<Registration>)> {
    let settings = plan.region.as_ref();
    let Some(image) = &item.register_from else {
        return Ok((region_on((series.grid(), path), settings, limits, warnings)?, None));
    };
    let drawn = drawn_region(path, settings, limits)?;
    let least = settings.map_or(0.5, |region| region.minimum_fraction);
    let (carried, found) = registered_region(&drawn, series, (image, least), limits)?;
    require_covered(&drawn, &carried, least).map_err(|error| error.at_path(path))?;
    Ok((carried, Some(found)))
}

/// Refuses a region of which nothing arrived.
fn require_covered(drawn: &Mask, carried: &Mask, least: f64) -> Result<()> {
    if !carried.is_empty() {
        return Ok(());
    }
    Err(Error::mismatch(format!(
        "the region of {} voxels does not reach the series: no voxel is covered to {least}",
        drawn.len()
    ))
    .hint("are both images in one scanner space?"))
}

/// The region on its own grid.
fn drawn_region(path: &Path, settings: Option<&RegionPlan>, limits: &ReadLimits) -> Result<Mask> {
    let labels = settings.map_or(&[][..], |region| &region.labels);
    let drawn = if labels.is_empty() {
        nifti::read_mask(path, limits)?.image
    } else {
        let volume = nifti::read_labels(path, limits)?.image;
        Labels::new(volume, BTreeMap::new()).mask_of(labels)
    };
    if drawn.is_empty() {
        let error = Error::value(format!("no voxel has a label of {labels:?}"));
        return Err(error.at_path(path).hint("which values are in it: biomarker inspect FILE"));
    }
    Ok(drawn)
}

/// The region on the grid of the series: as drawn, or carried there by scanner coordinates.
fn region_on(
    (grid, path): (&Grid, &Path),
    settings: Option<&RegionPlan>,
    limits: &ReadLimits,
    warnings: &mut Vec<String>,
) -> Result<Mask> {
    let drawn = drawn_region(path, settings, limits)?;
    if grid.require_same(drawn.grid()).is_ok() {
        return Ok(drawn);
    }
    let least = settings.map_or(0.5, |region| region.minimum_fraction);
    let carried = mask_from_fraction(&carry_labels(&drawn, grid)?, least as f32);
    require_covered(&drawn, &carried, least).map_err(|error| error.at_path(path))?;
    warnings.push(format!(
        "region carried to the grid of the series by scanner coordinates, not registered: {:.2} mL \
         as drawn, {:.2} mL carried",
        drawn.volume_ml(),
        carried.volume_ml()
    ));
    Ok(carried)
}

/// T10 in s on the grid of the series.
///
/// # Errors
///
/// As [`nifti::read_volume`]; `Value` when the map looks like milliseconds.
pub(super) fn t10_on(
    grid: &Grid,
    path: &Path,
    limits: &ReadLimits,
    warnings: &mut Vec<String>,
) -> Result<Volume<f64>> {
    let map = nifti::read_volume(path, limits)?.image;
    let largest = map.voxels().iter().copied().filter(|t| t.is_finite()).fold(0.0, f64::max);
    if largest > 60.0 {
        return Err(Error::value(format!("T10 up to {largest} looks like milliseconds"))
            .at_path(path)
            .hint("BIDS T1map is in seconds: divide the map by 1000"));
    }
    on_grid(grid, map, ("T10", warnings))
}

/// The transmit field, flip angle over the nominal one, on the grid of the series.
///
/// # Errors
///
/// As [`nifti::read_volume`]; `Value` when the map looks like percent or degrees.
pub(super) fn b1_on(
    grid: &Grid,
    path: &Path,
    limits: &ReadLimits,
    warnings: &mut Vec<String>,
) -> Result<Volume<f64>> {
    let map = nifti::read_volume(path, limits)?.image;
    let known: Vec<f64> = map.voxels().iter().copied().filter(|&b| b > 0.0).collect();
    let typical = median(&known).unwrap_or(f64::NAN);
    if !(0.2..=5.0).contains(&typical) {
        let message = format!("half of the B1 map is above {typical}, where 1 is nominal");
        return Err(Error::value(message)
            .at_path(path)
            .hint("percent is divided by 100, degrees by the nominal angle"));
    }
    on_grid(grid, map, ("B1", warnings))
}

fn on_grid(
    grid: &Grid,
    map: Volume<f64>,
    (name, warnings): (&str, &mut Vec<String>),
) -> Result<Volume<f64>> {
    if grid.require_same(map.grid()).is_ok() {
        return Ok(map);
    }
    let resampled = resample_linear(&map.map(|&value| value as f32), grid)?;
    warnings.push(format!("{name} map interpolated to the grid of the series"));
    Ok(resampled.image.map(|&value| f64::from(value)))
}

fn thickness_result<'a>(
    plan: &'a ThicknessPlan,
    item: &'a ThicknessItem,
    key: StreamKey,
    limits: &ReadLimits,
) -> Result<ThicknessResult<'a>> {
    let read = nifti::read_labels(&item.labels, limits)?;
    let labels = Labels::new(read.image, BTreeMap::new());
    let at_labels = |error: Error| error.at_path(&item.labels);
    let cartilage = labels.mask_of(&plan.cartilage);
    let bone = (!plan.bone.is_empty()).then(|| labels.mask_of(&plan.bone));
    let settings =
        Settings { method: Method::named(&plan.method).unwrap_or_default(), ..Settings::default() };
    let thickness = measure(&cartilage, bone.as_ref(), &settings).map_err(at_labels)?;
    let parcellation = if plan.needs_axis() {
        Some(parcellation((plan, item), &labels, &cartilage).map_err(at_labels)?)
    } else {
        None
    };
    let smeared = match plan.uncertainty {
        Some(LabelErrorPlan { pseudo_experiments, sd_mm, correlation_mm }) => {
            let error = LabelError { pseudo_experiments, sd_mm, correlation_mm };
            Some(smear(&thickness, &error, key).map_err(at_labels)?)
        }
        None => None,
    };
    let header = read.header;
    Ok(ThicknessResult { plan, item, header, cartilage, thickness, parcellation, smeared })
}

/// The axis of the condyles through the cartilage as drawn.
fn parcellation(
    (plan, item): (&ThicknessPlan, &ThicknessItem),
    labels: &Labels,
    cartilage: &Mask,
) -> Result<Parcellation> {
    let side = parts::side(plan, item.knee.as_deref(), labels)?;
    let grid = cartilage.grid();
    let positions: Vec<_> = cartilage.indices().iter().map(|&at| grid.position_mm(at)).collect();
    Parcellation::fit(&positions, side)
}

impl FitResult<'_> {
    /// The parameter that stands for the fit.
    pub fn headline(&self) -> &Parameter {
        &self.voxels.parameters[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Affine;

    #[test]
    fn a_t10_map_in_milliseconds_is_refused_with_the_fix() {
        let folder = tempfile::tempdir().unwrap();
        let affine = Affine::from_spacing([2.0; 3], [0.0; 3]).unwrap();
        let grid = Grid::new([2, 2, 1], affine).unwrap();
        let (path, limits) = (folder.path().join("T1map.nii.gz"), ReadLimits::default());
        let read = |values: [f32; 4]| {
            let map = Volume::new(grid, values.to_vec()).unwrap();
            nifti::write_map(&path, &map, &Header::of_grid(grid), [0.0, 3.0]).unwrap();
            t10_on(&grid, &path, &limits, &mut Vec::new())
        };
        assert!((read([0.0, 0.8, 1.2, f32::NAN]).unwrap().voxels()[2] - 1.2).abs() < 1e-6);
        let error = read([0.0, 800.0, 1200.0, 0.0]).unwrap_err();
        assert_eq!(error.message(), "T10 up to 1200 looks like milliseconds");
        assert!(error.hint_text().unwrap().contains("divide the map by 1000"));
    }
}
