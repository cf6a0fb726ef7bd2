//! T2 against pymskt, scipy and a synthetic truth.

use super::Section;
use super::bench::{Bench, Job, Maps};
use super::comparison::{About, Judged, Pairs};
use super::reference::ReferenceTable;
use crate::error::Result;
use crate::io::gradient_table;
use crate::pipeline::plan::AcquisitionPlan;

const MS: f64 = 1e3;
/// The voxel table counts the slices of the whole scan; the first shipped one is this.
const FIRST_SLICE: usize = 4;
const N_ECHOES: usize = 6;

/// Sagittal knee, six echoes.
pub(super) fn knee(bench: &Bench<'_>) -> Result<Section> {
    const IMAGE: &str = "t2/knee_mese/knee_mese_6echo_slices4-9.nii.gz";
    const ECHOES: &str = "t2/knee_mese/echo_times_ms.txt";
    const NLLS: &str = "t2/knee_mese/reference/pymskt_nlls_6echo_slices4-9_t2_ms.nii.gz";
    const LINE: &str = "t2/knee_mese/reference/pymskt_linear_6echo_nocutoff_t2_ms_slices4-9.nii.gz";
    const TABLE: &str = "t2/knee_mese/reference/voxel_reference_slices4-9.csv";
    let (mut section, complete) = bench.section(
        "Knee, multi-echo spin echo",
        "pymskt/DOSMA example, GE 3 T, sagittal, the first six of eight echoes from 6.312 ms; MIT",
        &[IMAGE, ECHOES, NLLS, LINE, TABLE],
    );
    if !complete {
        return Ok(section);
    }
    let echo_times = gradient_table::read_numbers(&bench.path(ECHOES))?;
    let first = echo_times.iter().take(N_ECHOES).copied().collect();
    let nlls = Job {
        acquisition: AcquisitionPlan { echo_times_ms: Some(first), ..AcquisitionPlan::default() },
        ..Job::new("knee MESE", "t2", IMAGE)
    };
    let lls = bench.run(&nlls.by("lls"), &mut section)?;
    let nlls = bench.run(&nlls, &mut section)?;
    let about = About {
        series: "knee MESE",
        quantity: "T2, nlls",
        units: "ms",
        reference: "pymskt 0.1.22, NLLS",
        difference_units: "1",
        judged: Judged::Largest(1e-4),
        reason: "pymskt stops earlier and stores single precision; the optimum itself is checked in \
                 `real_data_optimum.md`",
    };
    let theirs = bench.volume(NLLS)?;
    section.comparisons.push(map_against(&nlls, theirs.voxels(), &about)?);
    let about = About {
        quantity: "T2, lls",
        reference: "pymskt 0.1.22, log-linear",
        judged: Judged::Largest(1e-5),
        reason: "pymskt stores single precision",
        ..about
    };
    let theirs = bench.volume(LINE)?;
    section.comparisons.push(map_against(&lls, theirs.voxels(), &about)?);
    voxel_table(bench, TABLE, [&lls, &nlls], &mut section)?;
    Ok(section)
}

/// Ours in ms against a map in ms.
fn map_against(maps: &Maps, theirs: &[f64], about: &About) -> Result<super::Comparison> {
    let ours = maps.values("desc-t2_T2map.nii.gz")?;
    let mut pairs = Pairs::default();
    for (voxel, (&ours, &theirs)) in ours.iter().zip(theirs).enumerate() {
        if !maps.converged(voxel) {
            pairs.leave("our fit ended at a bound or without signal");
        } else if theirs > 0.0 && theirs.is_finite() {
            pairs.push_relative(MS * ours, theirs);
        } else {
            pairs.leave("pymskt has none");
        }
    }
    Ok(pairs.compare(about))
}

fn voxel_table(
    bench: &Bench<'_>,
    inside: &str,
    [lls, nlls]: [&Maps; 2],
    section: &mut Section,
) -> Result<()> {
    let table = ReferenceTable::read(&bench.path(inside))?;
    let line = lls.values("desc-t2_T2map.nii.gz")?;
    let t2 = nlls.values("desc-t2_T2map.nii.gz")?;
    let error = nlls.values("desc-t2Stderr_T2map.nii.gz")?;
    let [mut lines, mut times, mut errors] = [(); 3].map(|()| Pairs::default());
    for row in 0..table.n_rows() {
        let of = |name: &str| table.get(row, name);
        if of("n_echo") as usize != N_ECHOES {
            for pairs in [&mut lines, &mut times, &mut errors] {
                pairs.leave("fitted to eight echoes");
            }
            continue;
        }
        let voxel = table.voxel(row, FIRST_SLICE, &nlls.grid)?;
        lines.push_relative(MS * line[voxel], of("loglin_T2_ms"));
        times.push_relative(MS * t2[voxel], of("nlls_T2_ms"));
        errors.push_relative(MS * error[voxel], of("nlls_T2_se_ms"));
    }
    let about = |quantity, reference| About {
        series: "knee MESE",
        quantity,
        units: "ms",
        reference,
        difference_units: "1",
        judged: Judged::Largest(1e-6),
        reason: "maps are single precision",
    };
    let scipy = "scipy `curve_fit`, 64-bit";
    section.comparisons.extend([
        lines.compare(&about("T2, lls", "least squares of ln S in numpy, 64-bit")),
        times.compare(&about("T2, nlls", scipy)),
        errors.compare(&about("standard error of T2, nlls", scipy)),
    ]);
    Ok(())
}

/// Synthetic prostate with known T2.
pub(super) fn prostate(bench: &Bench<'_>) -> Result<Section> {
    const FOLDER: &str = "t2/prostate_t2demo/datasets";
    const SERIES: [[&str; 3]; 2] = [
        [
            "synthetic prostate, natural pictures",
            "t2/prostate_t2demo/datasets/synth_imagenet_1k_train/images/synth_000066.nii.gz",
            "synth_imagenet_1k_train",
        ],
        [
            "synthetic prostate, uniform noise",
            "t2/prostate_t2demo/datasets/synth_urand_1k_train/images/synth_000066.nii.gz",
            "synth_urand_1k_train",
        ],
    ];
    let label = |kind: &str| format!("{FOLDER}/{kind}/labels/synth_000066.nii.gz");
    let needed: Vec<String> =
        SERIES.iter().flat_map(|[_, image, kind]| [(*image).to_owned(), label(kind)]).collect();
    let (mut section, complete) = bench.section(
        "Prostate, synthetic multi-echo with truth",
        "t2demo, ten echoes TE = 26.4 + 13.2·i ms, Rician noise; simulated, not real; MIT",
        &needed.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    if !complete {
        return Ok(section);
    }
    let echo_times_ms: Vec<f64> = (0..10).map(|i| f64::from(264 + 132 * i) / 10.0).collect();
    for [name, image, kind] in SERIES {
        let job = Job {
            acquisition: AcquisitionPlan {
                echo_times_ms: Some(echo_times_ms.clone()),
                ..AcquisitionPlan::default()
            },
            ..Job::new(name, "t2", image)
        };
        let maps = bench.run(&job, &mut section)?;
        let truth = bench.volumes(&label(kind))?;
        let [_, t2_truth] = &truth[..] else { continue };
        against_truth(&maps, (name, t2_truth), &mut section)?;
    }
    Ok(section)
}

/// T2 labels are in units of this many ms.
const LABEL_MS: f64 = 145.2;

fn against_truth(
    maps: &Maps,
    (series, truth): (&'static str, &[f64]),
    section: &mut Section,
) -> Result<()> {
    let ours = maps.values("desc-t2_T2map.nii.gz")?;
    let error = maps.values("desc-t2Stderr_T2map.nii.gz")?;
    let mut pairs = Pairs::default();
    let mut n_near = 0;
    for voxel in 0..ours.len() {
        let (ours_ms, truth_ms) = (MS * ours[voxel], LABEL_MS * truth[voxel]);
        let error_ms = MS * error[voxel];
        if !maps.converged(voxel) || error_ms <= 0.0 {
            pairs.leave("our fit ended at a bound");
        } else {
            pairs.push_in(ours_ms, truth_ms, error_ms);
            n_near += usize::from((ours_ms - truth_ms).abs() < 2.0 * error_ms);
        }
    }
    let comparison = pairs.compare(&About {
        series,
        quantity: "T2, nlls",
        units: "ms",
        reference: "truth of the simulation",
        difference_units: "standard error",
        judged: Judged::Median(1.0),
        reason: "half of the errors of eight degrees of freedom are below 0.71; Rician noise adds bias",
    });
    section.notes.push(format!(
        "{series}: the truth lies within two standard errors in {:.1} % of {} voxels (92 % for normal \
         noise).",
        100.0 * f64::from(n_near as u32) / comparison.n as f64,
        comparison.n
    ));
    section.comparisons.push(comparison);
    Ok(())
}
