//! T2 against pymskt, scipy and a synthetic truth.

use super::Section;
use super::bench::{Bench, Job, Maps};
use super::comparison::{About, Judged, Pairs};
use super::reference::ReferenceTable;
use crate::error::Result;
use crate::io::gradient_table;
use crate::pipeline::plan::AcquisitionPlan;
use crate::statistics::quantile::quantile;

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

/// The same knee with stimulated echoes in the model.
pub(super) fn stimulated(bench: &Bench<'_>) -> Result<Section> {
    const IMAGE: &str = "t2/knee_mese/knee_mese_6echo_slices4-9.nii.gz";
    const ECHOES: &str = "t2/knee_mese/echo_times_ms.txt";
    let (mut section, complete) = bench.section(
        "Knee, stimulated echoes",
        "the same series; no other program's numbers: a plain exponential beside extended phase graphs",
        &[IMAGE, ECHOES],
    );
    if !complete {
        return Ok(section);
    }
    let echo_times = gradient_table::read_numbers(&bench.path(ECHOES))?;
    let first = echo_times.iter().take(N_ECHOES).copied().collect();
    let plain = Job {
        acquisition: AcquisitionPlan { echo_times_ms: Some(first), ..AcquisitionPlan::default() },
        ..Job::new("knee MESE", "t2", IMAGE)
    };
    let graph = bench.run(&Job { model: "t2_epg", ..plain.clone() }, &mut section)?;
    let plain = bench.run(&plain, &mut section)?;
    let echoes = bench.volumes(IMAGE)?;
    let tissue = Tissue::of(&echoes);
    section.notes.extend(tissue.describe(&plain, &graph)?);
    section.comparisons.push(tissue.compare(&plain, &graph)?);
    Ok(section)
}

/// Voxels with signal in the first two echoes.
struct Tissue {
    voxels: Vec<usize>,
    /// How many of them have a first echo below the second.
    n_raised: usize,
}

impl Tissue {
    fn of(echoes: &[Vec<f64>]) -> Self {
        let [first, second, ..] = echoes else {
            return Self { voxels: Vec::new(), n_raised: 0 };
        };
        let highest: Vec<f64> = first.iter().zip(second).map(|(a, b)| a.max(*b)).collect();
        let bright = quantile(&highest, 0.99).unwrap_or(f64::INFINITY);
        let voxels: Vec<usize> =
            (0..highest.len()).filter(|&voxel| highest[voxel] > 0.15 * bright).collect();
        let n_raised = voxels.iter().filter(|&&voxel| first[voxel] < second[voxel]).count();
        Self { voxels, n_raised }
    }

    /// Voxels that both models could fit.
    fn both<'a>(&'a self, plain: &'a Maps, graph: &'a Maps) -> impl Iterator<Item = usize> + 'a {
        let fitted = |maps: &Maps, voxel: usize| {
            maps.status.get(voxel).is_some_and(|status| status.is_settled())
        };
        let voxels = self.voxels.iter().copied();
        voxels.filter(move |&voxel| fitted(plain, voxel) && fitted(graph, voxel))
    }

    fn compare(&self, plain: &Maps, graph: &Maps) -> Result<super::Comparison> {
        let theirs = plain.values("desc-t2_T2map.nii.gz")?;
        let ours = graph.values("desc-t2epg_T2map.nii.gz")?;
        let mut pairs = Pairs::default();
        for voxel in self.both(plain, graph) {
            pairs.push_relative(MS * ours[voxel], MS * theirs[voxel]);
        }
        Ok(pairs.compare(&About {
            series: "knee MESE",
            quantity: "T2, t2_epg",
            units: "ms",
            reference: "T2, t2",
            difference_units: "1",
            judged: Judged::Shown,
            reason: "two models; stimulated echoes make the plain T2 longer",
        }))
    }

    fn describe(&self, plain: &Maps, graph: &Maps) -> Result<Vec<String>> {
        let unexplained = |maps: &Maps, name: &str| -> Result<Vec<f64>> {
            let explained = maps.values(name)?;
            Ok(self.both(plain, graph).map(|voxel| 1.0 - explained[voxel]).collect())
        };
        let left = unexplained(plain, "desc-t2Rsquared_T2map.nii.gz")?;
        let left_by_graph = unexplained(graph, "desc-t2epgRsquared_T2map.nii.gz")?;
        let field = graph.values("desc-t2epg_TB1map.nii.gz")?;
        let fields: Vec<f64> = self.both(plain, graph).map(|voxel| field[voxel]).collect();
        let n_at_one = fields.iter().filter(|&&b1| b1 >= 1.0).count();
        // Per degree of freedom: six echoes less two and less three parameters.
        let freedom = (N_ECHOES - 2) as f64 / (N_ECHOES - 3) as f64;
        let ratios: Vec<f64> =
            left_by_graph.iter().zip(&left).map(|(graph, plain)| freedom * graph / plain).collect();
        let n_better = ratios.iter().filter(|&&ratio| ratio < 1.0).count();
        let n = ratios.len() as f64;
        let percent = |count: usize, of: f64| 100.0 * count as f64 / of;
        let median = |values: &[f64]| quantile(values, 0.5).unwrap_or(f64::NAN);
        Ok(vec![
            format!(
                "Of {} voxels of tissue {:.1} % have a first echo below the second, which no \
                 exponential can.",
                self.voxels.len(),
                percent(self.n_raised, self.voxels.len() as f64)
            ),
            format!(
                "Residual variance per degree of freedom, `t2_epg` over `t2`: median {:.2}, below 1 \
                 in {:.1} % of {} voxels that both fit (six echoes, three and two parameters).",
                median(&ratios),
                percent(n_better, n),
                ratios.len()
            ),
            format!(
                "B1 times 180°: median {:.0}°, at 180° in {:.1} % of the voxels.",
                180.0 * median(&fields),
                percent(n_at_one, n)
            ),
        ])
    }
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
