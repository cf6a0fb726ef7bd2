//! Knee cartilage against scipy and pymskt.

use std::collections::BTreeMap;

use super::Section;
use super::bench::Bench;
use super::comparison::{About, Judged, Pairs};
use super::reference::ReferenceTable;
use crate::error::{Error, Result};
use crate::image::{Labels, Mask};
use crate::io::{self, nifti};
use crate::thickness::{
    self, Method, Settings, Summary, Thickness, distance_transform, local_thickness,
};

const LABELS: &str = "cartilage/right_knee_example/right_knee_example_labels.nii.gz";
const SAMPLES: &str = "cartilage/right_knee_example/reference/edt_samples.csv";
const SUMMARY: &str = "cartilage/right_knee_example/reference/thickness_summary.json";
const SERIES: &str = "knee labels";

/// Cartilages of the label image with the bone under each, as typed.
const CARTILAGES: [(&str, &[u32], &[u32]); 3] =
    [("femur", &[1], &[5]), ("tibia", &[2, 3], &[6]), ("patella", &[4], &[7])];

/// One knee with bones and cartilages labelled.
pub(super) fn knee(bench: &Bench<'_>) -> Result<Section> {
    let (mut section, complete) = bench.section(
        "Knee, cartilage",
        "right knee example of pymskt, 384×384×160, 0.365×0.365×0.70 mm, labels by its authors; MIT",
        &[LABELS, SAMPLES, SUMMARY],
    );
    if !complete {
        return Ok(section);
    }
    let read = nifti::read_labels(&bench.path(LABELS), &nifti::ReadLimits::default())?;
    let labels = Labels::new(read.image, BTreeMap::new());
    let references = References::read(bench)?;
    distances(bench, &labels, &references, &mut section)?;
    for (name, cartilage, bone) in &CARTILAGES[1..] {
        let other = measure(&labels, (cartilage, bone), Method::Subvoxel)?;
        section.commands.push(command(cartilage, bone, ""));
        section.notes.push(sentence(name, &other));
    }
    let (name, cartilage, bone) = CARTILAGES[0];
    let mut femur = Vec::new();
    for method in Method::ALL {
        let own = measure(&labels, (cartilage, bone), method)?;
        let rest = format!(" --method {}", method.name());
        section.commands.push(command(cartilage, bone, &rest));
        section.notes.push(sentence(name, &own));
        femur.push(own);
    }
    definitions(&references, &femur, &mut section)?;
    balls(&labels, &references, &mut section)?;
    section.notes.push(ordering(&femur));
    Ok(section)
}

fn command(cartilage: &[u32], bone: &[u32], rest: &str) -> String {
    let listed =
        |values: &[u32]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    format!(
        "biomarker thickness {LABELS} --cartilage {} --bone {}{rest} --output maps",
        listed(cartilage),
        listed(bone)
    )
}

fn measure(
    labels: &Labels,
    (cartilage, bone): (&[u32], &[u32]),
    method: Method,
) -> Result<Thickness> {
    let settings = Settings { method, ..Settings::default() };
    let bone = labels.mask_of(bone);
    thickness::measure(&labels.mask_of(cartilage), Some(&bone), &settings)
}

fn sentence(name: &str, thickness: &Thickness) -> String {
    let (method, summary) = (thickness.method.name(), &thickness.summary);
    format!(
        "{name}, `{method}`: thickness {:.4} ± {:.4} mm, median {:.4}, P25 {:.4}, at {} points on \
         {:.1} mm²; volume {:.2} mm³.",
        summary.mean_mm,
        summary.sd_mm,
        summary.median_mm,
        summary.p25_mm,
        summary.n_points,
        summary.area_mm2,
        summary.volume_mm3
    )
}

/// The numbers of the summary file.
struct References(serde_json::Value);

impl References {
    fn read(bench: &Bench<'_>) -> Result<Self> {
        let path = bench.path(SUMMARY);
        serde_json::from_str(&io::text(&path)?)
            .map(Self)
            .map_err(|error| Error::format(error.to_string()).at_path(&path))
    }

    /// A number by its JSON pointer.
    fn number(&self, pointer: &str) -> Result<f64> {
        let number = self.0.pointer(pointer).and_then(serde_json::Value::as_f64);
        number.ok_or_else(|| Error::format("is no number").at_field(pointer))
    }
}

/// The distance transform in single voxels, and the definition of voxel centres rebuilt from it.
fn distances(
    bench: &Bench<'_>,
    labels: &Labels,
    references: &References,
    section: &mut Section,
) -> Result<()> {
    let cartilage = labels.mask_of(&[1]);
    let bone = labels.mask_of(&[5]);
    let outside = Mask::new(cartilage.volume().map(|inside| !inside));
    let field = distance_transform(&outside)?;
    let grid = *cartilage.grid();
    let table = ReferenceTable::read(&bench.path(SAMPLES))?;
    let mut samples = Pairs::default();
    for row in 0..table.n_rows() {
        let voxel = table.voxel(row, 0, &grid)?;
        samples.push(f64::from(field.voxels()[voxel]), table.get(row, "scipy_edt_mm"));
    }
    let free = Mask::new(labels.volume().map(|label| ![1, 5].contains(label)));
    let field = distance_transform(&free)?;
    let at_bone: Vec<f64> = cartilage
        .indices()
        .iter()
        .filter(|&&voxel| neighbours(&grid, voxel).any(|other| bone.contains(other)))
        .map(|&voxel| f64::from(field.voxels()[voxel]))
        .collect();
    let mean = at_bone.iter().sum::<f64>() / at_bone.len() as f64;
    let mut interface = Pairs::default();
    interface.push(mean, references.number("/bone_interface_to_outside/mean")?);
    let about = |quantity, reference| About {
        series: SERIES,
        quantity,
        units: "mm",
        reference,
        difference_units: "mm",
        judged: Judged::Largest(1e-6),
        reason: "distances and spacings are single precision",
    };
    section.comparisons.extend([
        samples.compare(&about("distance to outside, femoral cartilage", "scipy EDT")),
        interface.compare(&about(
            "bone interface to outside, from our distances",
            "scipy EDT, mean over 23620 voxels",
        )),
    ]);
    Ok(())
}

/// Linear indices of the voxels that share a face.
fn neighbours(grid: &crate::image::Grid, voxel: usize) -> impl Iterator<Item = usize> {
    let [shape, at] = [grid.shape(), grid.voxel(voxel)];
    let grid = *grid;
    (0..3).flat_map(|axis| [(axis, 0), (axis, 2)]).filter_map(move |(axis, step)| {
        let mut other = at;
        other[axis] = (at[axis] + step).checked_sub(1)?;
        (other[axis] < shape[axis]).then(|| grid.index(other))
    })
}

/// The femur under our definitions and under those of others.
fn definitions(references: &References, femur: &[Thickness], section: &mut Section) -> Result<()> {
    let none = Error::internal("a definition was not measured");
    let [ours, voxel, normal, local, _] =
        femur.iter().map(|t| &t.summary).collect::<Vec<&Summary>>()[..]
    else {
        return Err(none);
    };
    let mean = "femur, mean thickness";
    let interface = "bone interface to outside";
    let volume =
        femur_about("femur, volume", "voxel count", (Judged::Largest(1e-6), "single precision"));
    let rows = [
        (ours.mean_mm, "/pymskt_raycast_mm/mean", ray_casting(mean)),
        (ours.median_mm, "/pymskt_raycast_mm/median", ray_casting("femur, median thickness")),
        (normal.mean_mm, "/pymskt_raycast_mm/mean", along_rays("femur, mean, `normal`")),
        (normal.median_mm, "/pymskt_raycast_mm/median", along_rays("femur, median, `normal`")),
        (ours.mean_mm, "/bone_interface_to_outside/mean", another(mean, interface)),
        (voxel.mean_mm, "/bone_interface_to_outside/mean", another("femur, edt_voxel", interface)),
        (local.mean_mm, "/ridge2edt/mean", another("femur, mean, `local`", "2·EDT on the ridge")),
        (ours.mean_mm, "/skel2edt/mean", another(mean, "2·EDT on the skeleton")),
        (ours.volume_mm3, "/volume_mm3", About { units: "mm³", ..volume }),
    ];
    for (ours, pointer, about) in rows {
        let mut pairs = Pairs::default();
        pairs.push_relative(ours, references.number(pointer)?);
        section.comparisons.push(pairs.compare(&about));
    }
    Ok(())
}

/// A comparison of one number of the femur, relative.
fn femur_about(
    quantity: &'static str,
    reference: &'static str,
    (judged, reason): (Judged, &'static str),
) -> About {
    let (series, units, difference_units) = (SERIES, "mm", "1");
    About { series, quantity, units, reference, difference_units, judged, reason }
}

fn ray_casting(quantity: &'static str) -> About {
    let rays = "also from bone surface to articular surface, along rays";
    femur_about(quantity, "pymskt 0.1.22 ray casting", (Judged::Largest(0.03), rays))
}

fn along_rays(quantity: &'static str) -> About {
    let reverse = "rays from the joint and not from the bone; other smoothing";
    femur_about(quantity, "pymskt 0.1.22 ray casting", (Judged::Largest(0.05), reverse))
}

fn another(quantity: &'static str, reference: &'static str) -> About {
    femur_about(quantity, reference, (Judged::Shown, "another definition"))
}

/// The largest ball that holds each voxel, from the voxel distances alone.
fn balls(labels: &Labels, references: &References, section: &mut Section) -> Result<()> {
    let cartilage = labels.mask_of(&[1]);
    let diameters = local_thickness(&cartilage)?;
    let sum: f64 = cartilage.indices().iter().map(|&at| f64::from(diameters.voxels()[at])).sum();
    let mut pairs = Pairs::default();
    let reference = references.number("/local_thickness_iso/mean")?;
    pairs.push_relative(sum / cartilage.len() as f64, reference);
    section.comparisons.push(pairs.compare(&About {
        series: SERIES,
        quantity: "femur, largest ball of voxels, mean",
        units: "mm",
        reference: "localthickness on isotropic voxels",
        difference_units: "1",
        judged: Judged::Largest(0.03),
        reason: "theirs interpolates the labels to cubes first, ours takes them as they are",
    }));
    Ok(())
}

/// The definitions from thin to thick, and how they follow the default one vertex by vertex.
fn ordering(femur: &[Thickness]) -> String {
    let mut means: Vec<(&str, f64)> =
        femur.iter().map(|t| (t.method.name(), t.summary.mean_mm)).collect();
    means.sort_by(|a, b| a.1.total_cmp(&b.1));
    let listed: Vec<String> =
        means.iter().map(|(name, mean)| format!("`{name}` {mean:.3}")).collect();
    let follows = femur.iter().filter(|t| !t.vertex_thickness_mm.is_empty()).skip(1).map(|other| {
        let mut pairs = Pairs::default();
        for (&a, &b) in femur[0].vertex_thickness_mm.iter().zip(&other.vertex_thickness_mm) {
            if a.is_finite() && b.is_finite() {
                pairs.push(f64::from(a), f64::from(b));
            }
        }
        format!("`{}` {:.3}", other.method.name(), pairs.correlation_and_slope()[0])
    });
    format!(
        "Means from thin to thick, mm: {}. Correlation with `edt_subvoxel` over the articular \
         vertices: {}.",
        listed.join(", "),
        follows.collect::<Vec<_>>().join(", ")
    )
}
