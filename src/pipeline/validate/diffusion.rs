//! ADC against `MRtrix3`, DIPY, scipy and the scanner.

use super::Section;
use super::bench::{Bench, Job, Maps};
use super::comparison::{About, Judged, Pairs};
use super::reference::ReferenceTable;
use crate::error::Result;

const UNITS: &str = "mm²/s";
const SINGLE: &str = "MRtrix3 computes in single precision";
const STORED: &str = "maps are single precision";
const SCIPY: &str = "`curve_fit` stops at 1e-8 of the sum of squares; maps are single precision";
/// Below this an ADC is no tissue, mm²/s, and where `curve_fit` stops is more than a hundred-thousandth
/// of it.
const SMALL_ADC: f64 = 1e-5;
const OUTSIDE: &str = "our fit ended at a bound";
const ZEROS: &str = "a sample is 0";

/// Samples of every voxel of a series, volume after volume.
fn smallest_samples(bench: &Bench<'_>, inside: &str) -> Result<Vec<f64>> {
    let volumes = bench.volumes(inside)?;
    let mut smallest = volumes.first().cloned().unwrap_or_default();
    for volume in volumes.iter().skip(1) {
        for (least, &sample) in smallest.iter_mut().zip(volume) {
            *least = least.min(sample);
        }
    }
    Ok(smallest)
}

/// A log-linear map against one of the same definition, where every sample is above `least`.
fn same_line(
    maps: &Maps,
    (reference, smallest, least): (&[f64], &[f64], f64),
    about: &About,
) -> Result<super::Comparison> {
    let ours = maps.values("desc-adc_ADC.nii.gz")?;
    let mut pairs = Pairs::default();
    for (voxel, (&ours, (&theirs, &signal))) in
        ours.iter().zip(reference.iter().zip(smallest)).enumerate()
    {
        if signal <= least {
            pairs.leave(if least > 0.0 { "a sample is 20 or less" } else { ZEROS });
        } else if maps.converged(voxel) {
            pairs.push(ours, theirs);
        } else {
            pairs.leave(OUTSIDE);
        }
    }
    Ok(pairs.compare(about))
}

/// The 400 voxels fitted by scipy: straight line, exponential and its standard error.
fn voxel_table(
    bench: &Bench<'_>,
    (series, inside): (&'static str, &str),
    [lls, nlls]: [&Maps; 2],
    section: &mut Section,
) -> Result<()> {
    let table = ReferenceTable::read(&bench.path(inside))?;
    let line = lls.values("desc-adc_ADC.nii.gz")?;
    let adc = nlls.values("desc-adc_ADC.nii.gz")?;
    let s0 = nlls.values("desc-adc_S0map.nii.gz")?;
    let error = nlls.values("desc-adcStderr_ADC.nii.gz")?;
    let [mut lines, mut adcs, mut s0s, mut errors] = [(); 4].map(|()| Pairs::default());
    for row in 0..table.n_rows() {
        let voxel = table.voxel(row, 0, &nlls.grid)?;
        let of = |name: &str| table.get(row, name);
        if lls.converged(voxel) {
            lines.push(line[voxel], of("ols_ADC_mm2_s"));
        } else {
            lines.leave(OUTSIDE);
        }
        let nonlinear = [&mut adcs, &mut s0s, &mut errors];
        if !nlls.converged(voxel) {
            for pairs in nonlinear {
                pairs.leave(OUTSIDE);
            }
        } else if !of("nlls_ADC_se").is_finite() {
            for pairs in nonlinear {
                pairs.leave("scipy has no standard error");
            }
        } else {
            let theirs = of("nlls_ADC_mm2_s");
            adcs.push_in(adc[voxel], theirs, theirs.abs().max(SMALL_ADC));
            s0s.push_relative(s0[voxel], of("nlls_S0"));
            errors.push_relative(error[voxel], of("nlls_ADC_se"));
        }
    }
    let about = |quantity, units, limit| About {
        series,
        quantity,
        units,
        reference: "scipy `curve_fit`, 64-bit",
        difference_units: "1",
        judged: Judged::Largest(limit),
        reason: SCIPY,
    };
    let about_lines = About {
        reference: "least squares of ln S in numpy, 64-bit",
        difference_units: UNITS,
        reason: STORED,
        ..about("ADC, lls", UNITS, 5e-10)
    };
    section.comparisons.extend([
        lines.compare(&about_lines),
        adcs.compare(&About {
            difference_units: "of at least 1e-5 mm²/s",
            ..about("ADC, nlls", UNITS, 1e-5)
        }),
        s0s.compare(&about("S0, nlls", "signal", 1e-5)),
        errors.compare(&about("standard error of ADC, nlls", UNITS, 1e-5)),
    ]);
    Ok(())
}

/// Trace-weighted prostate.
pub(super) fn prostate(bench: &Bench<'_>) -> Result<Section> {
    const IMAGE: &str = "dwi/prostatex/px0000/px0000_dwi.nii.gz";
    const MRTRIX: &str = "dwi/prostatex/px0000/reference/mrtrix_dwi2adc_ADC_mm2_s.nii.gz";
    const TABLE: &str = "dwi/prostatex/px0000/reference/voxel_reference.csv";
    const SCANNER: &str = "dwi/prostatex/px0000/px0000_adc.nii.gz";
    let (mut section, complete) = bench.section(
        "Prostate, diffusion",
        "TCIA PROSTATEx, patient 0000, Siemens 3 T, trace-weighted b = 50/400/800 s/mm²; CC BY 3.0, \
         doi:10.7937/K9TCIA.2017.MURS5CL",
        &[IMAGE, MRTRIX, TABLE, SCANNER],
    );
    if !complete {
        return Ok(section);
    }
    let nlls = Job::new("prostate DWI", "adc", IMAGE);
    let lls = bench.run(&nlls.by("lls"), &mut section)?;
    let nlls = bench.run(&nlls, &mut section)?;
    let smallest = smallest_samples(bench, IMAGE)?;
    let about = About {
        series: "prostate DWI",
        quantity: "ADC, lls, all samples above 20",
        units: UNITS,
        reference: "MRtrix3 3.0.3 `dwi2adc`",
        difference_units: UNITS,
        judged: Judged::Largest(2e-9),
        reason: SINGLE,
    };
    let mrtrix = bench.volume(MRTRIX)?;
    let reference = (mrtrix.voxels(), &smallest[..], 20.0);
    section.comparisons.push(same_line(&lls, reference, &about)?);
    let about = About { quantity: "ADC, lls, all samples above 0", ..about };
    let reference = (mrtrix.voxels(), &smallest[..], 0.0);
    section.comparisons.push(same_line(&lls, reference, &about)?);
    voxel_table(bench, ("prostate DWI", TABLE), [&lls, &nlls], &mut section)?;
    scanner(bench, SCANNER, (&lls, &smallest), &mut section)?;
    Ok(section)
}

fn scanner(
    bench: &Bench<'_>,
    inside: &str,
    (lls, smallest): (&Maps, &[f64]),
    section: &mut Section,
) -> Result<()> {
    let ours = lls.values("desc-adc_ADC.nii.gz")?;
    let scanner = bench.volume(inside)?;
    let mut pairs = Pairs::default();
    for (voxel, (&ours, &theirs)) in ours.iter().zip(scanner.voxels()).enumerate() {
        if smallest[voxel] <= 20.0 {
            pairs.leave("a sample is 20 or less");
        } else if theirs <= 0.0 || ours <= 0.0 || !lls.converged(voxel) {
            pairs.leave("one of both is not positive");
        } else {
            pairs.push_relative(ours, 1e-6 * theirs);
        }
    }
    let [correlation, slope] = pairs.correlation_and_slope();
    section.notes.push(format!(
        "Scanner ADC on ours: correlation {correlation:.4}, slope {slope:.3} through the origin. The \
         scanner works on truncated integers with a b-value of its own: a band, no truth."
    ));
    section.comparisons.push(pairs.compare(&About {
        series: "prostate DWI",
        quantity: "ADC, lls, all samples above 20",
        units: UNITS,
        reference: "scanner (syngo MR D11)",
        difference_units: "1",
        judged: Judged::Median(0.05),
        reason: "a band: the median may be 5 % off",
    }));
    Ok(())
}

/// Calves with 42 directions and a stored slope.
pub(super) fn calf(bench: &Bench<'_>) -> Result<Section> {
    const IMAGE: &str = "dwi/qmritools_calf/DTIdata.nii.gz";
    const MRTRIX: &str = "dwi/qmritools_calf/reference/mrtrix_dwi2adc_ADC_mm2_s.nii.gz";
    const TABLE: &str = "dwi/qmritools_calf/reference/voxel_reference.csv";
    let (mut section, complete) = bench.section(
        "Calf, diffusion",
        "QMRITools demonstration data, eight b-values 0–600 s/mm², 42 volumes; BSD-3-Clause",
        &[IMAGE, MRTRIX, TABLE],
    );
    if !complete {
        return Ok(section);
    }
    let nlls = Job::new("calf DWI", "adc", IMAGE);
    let lls = bench.run(&nlls.by("lls"), &mut section)?;
    let nlls = bench.run(&nlls, &mut section)?;
    let smallest = smallest_samples(bench, IMAGE)?;
    let mrtrix = bench.volume(MRTRIX)?;
    let reference = (mrtrix.voxels(), &smallest[..], 0.0);
    section.comparisons.push(same_line(
        &lls,
        reference,
        &About {
            series: "calf DWI",
            quantity: "ADC, lls, all samples above 0",
            units: UNITS,
            reference: "MRtrix3 3.0.3 `dwi2adc`",
            difference_units: UNITS,
            judged: Judged::Largest(2e-9),
            reason: SINGLE,
        },
    )?);
    voxel_table(bench, ("calf DWI", TABLE), [&lls, &nlls], &mut section)?;
    Ok(section)
}

/// `MRtrix3`'s own test data.
pub(super) fn brain_mrtrix(bench: &Bench<'_>) -> Result<Section> {
    const INPUT: &str = "dwi/mrtrix/nifti/dwi2adc_in.nii.gz";
    const OUTPUT: &str = "dwi/mrtrix/nifti/dwi2adc_out.nii.gz";
    const DWI: &str = "dwi/mrtrix/nifti/dwi.nii.gz";
    let (mut section, complete) = bench.section(
        "Brain, diffusion, MRtrix3",
        "MRtrix3 test data, b = 0/500/1000 s/mm² and b = 0/3000 s/mm²; no licence stated: test input \
         only",
        &[INPUT, OUTPUT, DWI],
    );
    if !complete {
        return Ok(section);
    }
    let job = Job::new("MRtrix3 dwi2adc", "adc", INPUT);
    let lls = bench.run(&job.by("lls"), &mut section)?;
    bench.run(&job, &mut section)?;
    bench.run(&Job::new("MRtrix3 dwi", "adc", DWI), &mut section)?;
    let theirs = bench.volumes(OUTPUT)?;
    let [s0_reference, adc_reference] = &theirs[..] else { return Ok(section) };
    let [mut adcs, mut s0s] = [(); 2].map(|()| Pairs::default());
    let adc = lls.values("desc-adc_ADC.nii.gz")?;
    let s0 = lls.values("desc-adc_S0map.nii.gz")?;
    for voxel in 0..adc.len() {
        if lls.converged(voxel) {
            adcs.push(adc[voxel], adc_reference[voxel]);
            s0s.push_relative(s0[voxel], s0_reference[voxel]);
        } else {
            for pairs in [&mut adcs, &mut s0s] {
                pairs.leave(OUTSIDE);
            }
        }
    }
    let about = |quantity, units, difference_units, limit| About {
        series: "MRtrix3 dwi2adc",
        quantity,
        units,
        reference: "MRtrix3's expected output",
        difference_units,
        judged: Judged::Largest(limit),
        reason: SINGLE,
    };
    section.comparisons.extend([
        adcs.compare(&about("ADC, lls", UNITS, UNITS, 2e-9)),
        s0s.compare(&about("S0, lls", "signal", "1", 5e-6)),
    ]);
    section.notes.push(
        "`dwi` comes without a reference ADC: its optimum is checked in `real_data_optimum.md`. Its \
         voxels are empty or all the same."
            .into(),
    );
    Ok(section)
}

/// DIPY's test data.
pub(super) fn brain_dipy(bench: &Bench<'_>) -> Result<Section> {
    const SERIES: [[&str; 3]; 3] = [
        ["small_25", "dwi/dipy/small_25.nii.gz", "small_25"],
        ["small_64D", "dwi/dipy/small_64D.nii", "small_64D"],
        ["small_101D", "dwi/dipy/small_101D.nii.gz", "small_101D"],
    ];
    let reference =
        |name: &str, what: &str| format!("dwi/dipy/reference/{name}_{what}_mm2_s.nii.gz");
    let needed: Vec<String> = SERIES
        .iter()
        .flat_map(|[name, image, _]| {
            [(*image).to_owned(), reference(name, "numpy_olsadc"), reference(name, "dipy_OLS_md")]
        })
        .collect();
    let (mut section, complete) = bench.section(
        "Brain, diffusion, DIPY",
        "DIPY test data, b ≈ 0/2000, b ≈ 0/1000 and b = 15 … 4065 s/mm²; BSD-3-Clause",
        &needed.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    if !complete {
        return Ok(section);
    }
    for [name, image, _] in SERIES {
        let job = Job::new(name, "adc", image);
        let lls = bench.run(&job.by("lls"), &mut section)?;
        bench.run(&job, &mut section)?;
        let smallest = smallest_samples(bench, image)?;
        let about = About {
            series: name,
            quantity: "ADC, lls, all samples above 0",
            units: UNITS,
            reference: "least squares of ln S in numpy",
            difference_units: UNITS,
            judged: Judged::Largest(5e-10),
            reason: STORED,
        };
        let theirs = bench.volume(&reference(name, "numpy_olsadc"))?;
        section.comparisons.push(same_line(&lls, (theirs.voxels(), &smallest, 0.0), &about)?);
        let theirs = bench.volume(&reference(name, "dipy_OLS_md"))?;
        let about = About {
            reference: "DIPY 1.12 tensor, mean diffusivity",
            judged: Judged::Shown,
            reason: "a tensor is another definition",
            ..about
        };
        section.comparisons.push(same_line(&lls, (theirs.voxels(), &smallest, 0.0), &about)?);
    }
    section.notes.push(
        "Where a sample is 0 the numpy reference takes the logarithm of 1 instead; ours leaves the \
         sample out. Those voxels are counted and not compared."
            .into(),
    );
    for name in ["dwi/dipy/S0_10slices.nii.gz", "dwi/dipy/aniso_vox.nii.gz"] {
        section.notes.push(without_b_values(bench, name));
    }
    Ok(section)
}

/// What the program says to an image without b-values.
fn without_b_values(bench: &Bench<'_>, inside: &'static str) -> String {
    if !bench.path(inside).is_file() {
        return format!("`{inside}` is not here.");
    }
    match bench.run(&Job::new("without b-values", "adc", inside), &mut Section::default()) {
        Ok(_) => format!("`{inside}` was mapped although it has no b-values."),
        Err(error) => format!("`{inside}` is refused: {}.", error.message()),
    }
}
