//! T1 and the initial area under the concentration curve against Madym, and a phantom.

use super::Section;
use super::bench::{Bench, DynamicJob, Job, Maps};
use super::comparison::{About, Judged, Pairs};
use super::reference::ReferenceTable;
use crate::acquisition::{Dynamic, Protocol, VariableFlipAngle};
use crate::error::{Error, Result};
use crate::image::Volume;
use crate::io::{self, gradient_table, nifti, sidecar};
use crate::model::find;
use crate::perfusion::SpoiledGradientEcho;
use crate::pipeline::plan::AcquisitionPlan;
use crate::unit::radians_from_degrees;

const FOLDER: &str = "dce/breast_dcemrijl";
const DCE: &str = "dce/breast_dcemrijl/dce_25t.nii.gz";
const TIMES: &str = "dce/breast_dcemrijl/dce_times_s.txt";
const FLIPS: &str = "dce/breast_dcemrijl/vfa_flip_deg.txt";
const VFA: &str = "dce/breast_dcemrijl/vfa_10.nii.gz";
const ARTERY: &str = "dce/breast_dcemrijl/aif_Cp_mM.csv";
const MADYM_T1: &str = "dce/breast_dcemrijl/reference/madym_T1_ms.nii.gz";
const MADYM_AREA: &str = "dce/breast_dcemrijl/reference/madym_IAUC60_mM_min.nii.gz";
const REGION: &str = "dce/breast_dcemrijl/reference/roi.nii.gz";
const TABLE: &str = "dce/breast_dcemrijl/reference/voxel_reference.csv";
const SECONDS_PER_MINUTE: f64 = 60.0;
const AREA_UNITS: &str = "mM·s";
const MADYM: &str = "Madym 4.24";

/// What the protocol file of the breast says.
struct Breast {
    repetition_time_ms: f64,
    flip_angle_deg: f64,
    relaxivity: f64,
    /// Frame at which Madym lets the bolus come.
    bolus: usize,
    frame_times_s: Vec<f64>,
}

impl Breast {
    fn read(bench: &Bench<'_>) -> Result<Self> {
        let path = bench.path(&format!("{FOLDER}/protocol.json"));
        let text = io::text(&path)?;
        let protocol: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| Error::format(error.to_string()).at_path(&path))?;
        let number = |key: &str| {
            protocol[key]
                .as_f64()
                .ok_or_else(|| Error::format("is no number").at_field(key).at_path(&path))
        };
        Ok(Self {
            repetition_time_ms: number("TR_ms")?,
            flip_angle_deg: number("DCE_flip_deg")?,
            relaxivity: number("relaxivity_per_s_per_mM")?,
            bolus: number("bolus_index0")? as usize,
            frame_times_s: gradient_table::read_frame_times_s(&bench.path(TIMES))?,
        })
    }

    fn arrival_s(&self) -> f64 {
        self.frame_times_s.get(self.bolus).copied().unwrap_or(f64::NAN)
    }

    fn job(&self, t10: DynamicJob) -> Job {
        Job {
            acquisition: AcquisitionPlan {
                flip_angles_deg: Some(vec![self.flip_angle_deg]),
                repetition_time_ms: Some(self.repetition_time_ms),
                ..AcquisitionPlan::default()
            },
            dynamic: Some(t10),
            ..Job::new("breast DCE", "iauc60", DCE)
        }
    }
}

/// One slice of a breast: ten flip angles, 25 frames and a measured artery.
pub(super) fn breast(bench: &Bench<'_>) -> Result<Section> {
    let protocol = format!("{FOLDER}/protocol.json");
    let needed = [DCE, TIMES, FLIPS, VFA, ARTERY, MADYM_T1, MADYM_AREA, REGION, TABLE, &protocol];
    let (mut section, complete) = bench.section(
        "Breast, T1 and contrast agent",
        "DCEMRI.jl in-vivo example, one slice, TR 7.939 ms, ten flip angles, 25 frames every \
         16.43 s; MIT",
        &needed,
    );
    if !complete {
        return Ok(section);
    }
    let breast = Breast::read(bench)?;
    let flips = gradient_table::read_numbers(&bench.path(FLIPS))?;
    let vfa = Job {
        acquisition: AcquisitionPlan {
            flip_angles_deg: Some(flips.clone()),
            repetition_time_ms: Some(breast.repetition_time_ms),
            ..AcquisitionPlan::default()
        },
        ..Job::new("breast, ten flip angles", "t1_vfa", VFA)
    };
    let t1 = bench.run(&vfa, &mut section)?;
    t1_against_madym(bench, (&breast, &flips), &t1, &mut section)?;
    areas(bench, &breast, &t1, &mut section)?;
    Ok(section)
}

/// Which of both fits the samples better, and by how much.
fn t1_against_madym(
    bench: &Bench<'_>,
    (breast, flips): (&Breast, &[f64]),
    maps: &Maps,
    section: &mut Section,
) -> Result<()> {
    let angles = flips.iter().map(|&angle| radians_from_degrees(angle)).collect();
    let flips = VariableFlipAngle::new(angles, breast.repetition_time_ms / 1e3)?;
    let model = (find("t1_vfa")?.build)(&Protocol::VariableFlipAngle(flips))?;
    let samples = bench.volumes(VFA)?;
    let mut curve = vec![0.0; samples.len()];
    let mut residual = |voxel: usize, t1_s: f64| {
        model.signal(&[t1_s, 1.0], &[], &mut curve);
        let (mut sf, mut ff, mut ss) = (0.0, 0.0, 0.0);
        for (volume, &f) in samples.iter().zip(&curve) {
            sf += volume[voxel] * f;
            ff += f * f;
            ss += volume[voxel] * volume[voxel];
        }
        ss - sf * sf / ff
    };
    let ours = maps.values("desc-t1vfa_T1map.nii.gz")?;
    let madym = bench.volume(MADYM_T1)?;
    let region = bench.volume(REGION)?;
    let [mut times, mut fits] = [(); 2].map(|()| Pairs::default());
    let (mut n_ours_better, mut n_theirs_better) = (0, 0);
    for (voxel, (&ours, &theirs_ms)) in ours.iter().zip(madym.voxels()).enumerate() {
        if region.voxels()[voxel] <= 0.0 {
            continue;
        }
        if !(maps.converged(voxel) && theirs_ms > 0.0 && theirs_ms.is_finite()) {
            let reason = if maps.converged(voxel) {
                "Madym has none"
            } else {
                "our fit ended at a bound or without signal"
            };
            for pairs in [&mut times, &mut fits] {
                pairs.leave(reason);
            }
            continue;
        }
        times.push_relative(1e3 * ours, theirs_ms);
        let [own, their] = [ours, theirs_ms / 1e3].map(|t1_s| residual(voxel, t1_s));
        fits.push_relative(own, their);
        n_ours_better += usize::from(own < their * (1.0 - 1e-6));
        n_theirs_better += usize::from(their < own * (1.0 - 1e-6));
    }
    let about = |quantity, units, reason| About {
        series: "breast, ten flip angles",
        quantity,
        units,
        reference: MADYM,
        difference_units: "1",
        judged: Judged::Shown,
        reason,
    };
    let reason = "Madym's estimates are not at the least-squares optimum, see below; ours are, by \
                  `real_data_optimum.md`";
    section.notes.push(format!(
        "T1: the sum of squared residuals at our estimate is below that at Madym's in {n_ours_better} \
         voxels of the region and above it (by more than a millionth) in {n_theirs_better}. Madym's \
         map is not at the optimum of that sum with nominal flip angles; why, the data do not say."
    ));
    section.comparisons.extend([
        times.compare(&about("T1, nlls", "ms", reason)),
        fits.compare(&about("sum of squared residuals", "signal²", "lower is the better fit")),
    ]);
    Ok(())
}

fn areas(bench: &Bench<'_>, breast: &Breast, t1: &Maps, section: &mut Section) -> Result<()> {
    let arrival_s = breast.arrival_s();
    let with = |t10, t10_name, arrival| DynamicJob {
        t10,
        t10_name,
        arrival,
        relaxivity_per_s_per_mm: breast.relaxivity,
        frame_times: TIMES,
    };
    let t10 = madym_t1_in_seconds(bench, t1)?;
    section.notes.push(
        "`madym_T1_s.nii.gz` is Madym's T1 map divided by 1000: T1 maps are in seconds, and one in \
         milliseconds is refused."
            .into(),
    );
    let job = breast.job(with(t10, "madym_T1_s.nii.gz", Err(arrival_s)));
    let same_inputs = bench.run(&job, section)?;
    area_table(bench, &same_inputs, section)?;
    let own = t1.path("desc-t1vfa_T1map.nii.gz")?;
    let job = breast.job(with(own, "maps/nlls/vfa_10_desc-t1vfa_T1map.nii.gz", Ok(ARTERY)));
    let own_inputs = bench.run(&job, section)?;
    section.notes.push(format!(
        "On the measured artery the bolus arrives at {:.2} s; Madym was told frame {} ({arrival_s:.2} s).",
        own_inputs.result.arrival_s.unwrap_or(f64::NAN),
        breast.bolus
    ));
    madym_areas(bench, breast, [&same_inputs, &own_inputs], section)
}

/// Madym's map in s, for the program to read.
fn madym_t1_in_seconds(bench: &Bench<'_>, like: &Maps) -> Result<std::path::PathBuf> {
    let path = bench.own("madym_T1_s.nii.gz");
    let header = nifti::read_header(&bench.path(DCE), &nifti::ReadLimits::default())?;
    let milliseconds = bench.volume(MADYM_T1)?;
    let seconds = Volume::new(
        like.grid,
        milliseconds.voxels().iter().map(|&t1_ms| (t1_ms / 1e3) as f32).collect(),
    )?;
    nifti::write_map(&path, &seconds, &header, [0.0, 3.0])?;
    let mut object = serde_json::Map::new();
    object.insert("Units".into(), "s".into());
    sidecar::write(&bench.own("madym_T1_s.json"), &object)?;
    Ok(path)
}

/// The 150 voxels integrated by numpy under our definition.
fn area_table(bench: &Bench<'_>, maps: &Maps, section: &mut Section) -> Result<()> {
    let table = ReferenceTable::read(&bench.path(TABLE))?;
    let ours = maps.values("desc-iauc60_mimap.nii.gz")?;
    let mut pairs = Pairs::default();
    for row in 0..table.n_rows() {
        let voxel = table.voxel(row, 0, &maps.grid)?;
        if maps.converged(voxel) {
            let theirs = table.get(row, "IAUC60_textbook") * SECONDS_PER_MINUTE;
            pairs.push_relative(ours[voxel], theirs);
        } else {
            pairs.leave("ours has none");
        }
    }
    section.comparisons.push(pairs.compare(&About {
        series: "breast DCE",
        quantity: "IAUC60, T1 and arrival as given to Madym",
        units: AREA_UNITS,
        reference: "numpy, 64-bit: arrival to arrival + 60 s",
        difference_units: "1",
        judged: Judged::Largest(1e-5),
        reason: "T1 and area are stored in single precision; areas near 0 are differences of larger \
                 numbers",
    }));
    Ok(())
}

/// Madym's rule: from the segment that *ends* at the bolus frame, the last segment as a fraction of
/// its area.
fn madym_area(times_s: &[f64], curve: &[f64], bolus: usize) -> f64 {
    let mut area = 0.0;
    for frame in bolus.max(1)..times_s.len() {
        let step = times_s[frame] - times_s[frame - 1];
        let segment = 0.5 * step * (curve[frame] + curve[frame - 1]);
        let beyond = times_s[frame] - times_s[bolus] - SECONDS_PER_MINUTE;
        if beyond > 0.0 {
            return area + (1.0 - beyond / step) * segment;
        }
        area += segment;
    }
    f64::NAN
}

/// Madym's map: our concentrations under its rule, then our maps beside it.
fn madym_areas(
    bench: &Bench<'_>,
    breast: &Breast,
    [same_inputs, own_inputs]: [&Maps; 2],
    section: &mut Section,
) -> Result<()> {
    let angle = radians_from_degrees(breast.flip_angle_deg);
    let times = breast.frame_times_s.clone();
    let protocol = Dynamic::new(times.clone(), breast.repetition_time_ms / 1e3, angle)?;
    let equation = SpoiledGradientEcho::new(&protocol, breast.relaxivity)?;
    let frames = bench.volumes(DCE)?;
    let region = bench.volume(REGION)?;
    let t1 = bench.volume(MADYM_T1)?;
    let theirs = bench.volume(MADYM_AREA)?;
    let same = same_inputs.values("desc-iauc60_mimap.nii.gz")?;
    let own = own_inputs.values("desc-iauc60_mimap.nii.gz")?;
    let mut pairs = [(); 3].map(|()| Pairs::default());
    let [by_rule, by_definition, from_own] = &mut pairs;
    for (voxel, &theirs) in theirs.voxels().iter().enumerate() {
        if region.voxels()[voxel] <= 0.0 {
            continue;
        }
        let baseline = frames[..breast.bolus].iter().map(|frame| frame[voxel]).sum::<f64>()
            / breast.bolus as f64;
        let calibrated = equation.with_baseline(baseline, t1.voxels()[voxel] / 1e3);
        let rule = calibrated.map_or(f64::NAN, |voxel_equation| {
            let curve: Vec<f64> =
                frames.iter().map(|frame| voxel_equation.concentration(frame[voxel])).collect();
            madym_area(&times, &curve, breast.bolus)
        });
        let theirs = SECONDS_PER_MINUTE * theirs;
        let has_theirs = theirs.is_finite() && theirs.abs() > 0.0;
        let offer = |pairs: &mut Pairs, ours: f64, has_ours: bool| {
            if !has_theirs {
                pairs.leave("Madym has none");
            } else if has_ours && ours.is_finite() {
                pairs.push_in(ours, theirs, theirs.abs().max(1.0));
            } else {
                pairs.leave("ours has none");
            }
        };
        offer(by_rule, rule, true);
        offer(by_definition, same[voxel], same_inputs.converged(voxel));
        offer(from_own, own[voxel], own_inputs.converged(voxel));
    }
    let about = |quantity, judged, reason| About {
        series: "breast DCE",
        quantity,
        units: AREA_UNITS,
        reference: MADYM,
        difference_units: "of at least 1 mM·s",
        judged,
        reason,
    };
    let abouts = [
        about(
            "our concentrations integrated by Madym's rule",
            Judged::Largest(1e-5),
            "Madym stores single precision",
        ),
        about(
            "IAUC60, T1 and arrival as given to Madym",
            Judged::Shown,
            "Madym integrates from the segment that ends at the bolus frame: another definition, \
             and 16 s frames",
        ),
        about(
            "IAUC60, own T1, arrival on the artery",
            Judged::Shown,
            "other T1, other arrival, other definition",
        ),
    ];
    section
        .comparisons
        .extend(pairs.iter().zip(&abouts).map(|(pairs, about)| pairs.compare(about)));
    Ok(())
}

/// A phantom at five flip angles, one file each.
pub(super) fn phantom(bench: &Bench<'_>) -> Result<Section> {
    const IMAGES: [&str; 5] = [
        "dce/vfa_phantom_dcemriS4/fl3d_vibe-5deg.nii.gz",
        "dce/vfa_phantom_dcemriS4/fl3d_vibe-10deg.nii.gz",
        "dce/vfa_phantom_dcemriS4/fl3d_vibe-15deg.nii.gz",
        "dce/vfa_phantom_dcemriS4/fl3d_vibe-20deg.nii.gz",
        "dce/vfa_phantom_dcemriS4/fl3d_vibe-25deg.nii.gz",
    ];
    let (mut section, complete) = bench.section(
        "Phantom, T1",
        "dcemriS4 example, flip angles 5 … 25°, TR 4.22 ms by its vignette; BSD-3-Clause",
        &IMAGES,
    );
    if !complete {
        return Ok(section);
    }
    let job = Job {
        images: IMAGES.to_vec(),
        acquisition: AcquisitionPlan {
            flip_angles_deg: Some(vec![5.0, 10.0, 15.0, 20.0, 25.0]),
            repetition_time_ms: Some(4.22),
            ..AcquisitionPlan::default()
        },
        ..Job::new("phantom, five flip angles", "t1_vfa", IMAGES[0])
    };
    bench.run(&job, &mut section)?;
    section.notes.push(
        "No reference map comes with it: its optimum is checked in `real_data_optimum.md`. The \
         headers say nothing of the place in the scanner."
            .into(),
    );
    Ok(section)
}
