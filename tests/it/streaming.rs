//! `map` in pieces: the same bytes as in memory, for any memory, threads and files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use biomarker::image::{Affine, Grid, Mask, Samples, Scaling, Series, Volume};
use biomarker::io::nifti::{
    Compression, Header, ReadLimits, read_volume, write_mask, write_scanner_series,
    write_series_map,
};
use biomarker::pipeline::Silent;
use biomarker::pipeline::load::SeriesPaths;
use biomarker::pipeline::measure;
use biomarker::pipeline::plan::AcquisitionPlan;
use biomarker::pipeline::single::{
    self, ArterialCurve, Background, MapChoice, MapRequest, MapResult, T10Input,
};

/// Three pieces of 16 384 voxels, the last one short.
const SHAPE: [usize; 3] = [41, 37, 29];

fn grid() -> Grid {
    Grid::new(SHAPE, Affine::from_spacing([1.5, 1.5, 3.0], [0.0; 3]).unwrap()).unwrap()
}

/// Decays with disturbances, and air without signal.
fn signal(voxel: usize, weighting: f64) -> f32 {
    let disturbance = ((voxel * 7919 + (weighting * 31.0) as usize * 104_729) % 1009) as f64;
    let amplitude = if voxel.is_multiple_of(5) { 0.0 } else { 800.0 + (voxel % 300) as f64 };
    let rate = 0.5e-3 + 1e-6 * (voxel % 1700) as f64;
    (amplitude * (-rate * weighting).exp() + 0.02 * disturbance) as f32
}

fn diffusion(folder: &Path, name: &str) -> PathBuf {
    let b_values = [0.0, 200.0, 500.0, 1000.0];
    let volumes: Vec<Volume<f32>> =
        b_values.iter().map(|&b| Volume::from_fn(grid(), |voxel| signal(voxel, b))).collect();
    let path = folder.join(name);
    write_series_map(&path, &volumes, &Header::of_grid(grid()), None).unwrap();
    std::fs::write(folder.join("dwi.bval"), "0 200 500 1000").unwrap();
    path
}

fn ball() -> Mask {
    let grid = grid();
    Mask::new(Volume::from_fn(grid, |index| {
        let centred = |axis: usize| grid.voxel(index)[axis] as f64 / SHAPE[axis] as f64 - 0.5;
        (0..3).map(|axis| centred(axis).powi(2)).sum::<f64>() < 0.1
    }))
}

fn request<'a>(model: &str, images: &'a [PathBuf], output: &'a Path) -> MapRequest<'a> {
    MapRequest {
        measure: measure::named(model).unwrap(),
        paths: SeriesPaths { images, bval: None },
        acquisition: AcquisitionPlan::default(),
        mask: None,
        t10: None,
        b1_map: None,
        relaxivity_per_s_per_mm: 4.5,
        arrival: ArterialCurve::Region,
        artery: None,
        window_s: 60.0,
        estimator: "nlls",
        b_min_s_per_mm2: 0.0,
        echoes: biomarker::fit::EchoChoice::default(),
        pseudo_experiments: 0,
        sigma: None,
        noise: None,
        seed: 1,
        output,
        maps: MapChoice::default(),
        compression: Compression::Gzip,
        with_table: false,
        background: Background::Zero,
        limits: ReadLimits::default(),
    }
}

fn map(request: &MapRequest<'_>) -> (MapResult, BTreeMap<String, Vec<u8>>) {
    let result = single::map(request, &Silent).unwrap();
    let files = std::fs::read_dir(request.output).unwrap().map(|entry| entry.unwrap().path());
    let named = files.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read(&path).unwrap())
    });
    let files: BTreeMap<_, _> = named.filter(|(name, _)| name != "voxels.parquet").collect();
    let mut written: Vec<String> = result.written.clone();
    written.retain(|name| name != "voxels.parquet");
    written.sort();
    assert_eq!(written, files.keys().cloned().collect::<Vec<_>>());
    (result, files)
}

fn same(a: &(MapResult, BTreeMap<String, Vec<u8>>), b: &(MapResult, BTreeMap<String, Vec<u8>>)) {
    assert!(a.1 == b.1, "{:?} {:?}", a.1.keys(), b.1.keys());
    assert_eq!(format!("{:?}", a.0.parameters), format!("{:?}", b.0.parameters));
    assert_eq!((&a.0.counts, &a.0.warnings), (&b.0.counts, &b.0.warnings));
    assert_eq!((a.0.n_voxels, a.0.arrival_s), (b.0.n_voxels, b.0.arrival_s));
}

#[test]
fn pieces_give_the_bytes_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_mask(&here.join("ball.nii.gz"), &ball(), &Header::of_grid(grid())).unwrap();
    let mask = here.join("ball.nii.gz");
    let (plain, gzipped) = ([diffusion(here, "dwi.nii")], [diffusion(here, "dwi.nii.gz")]);
    let settings =
        [(None, Background::Zero, None), (Some(mask.as_path()), Background::Nan, Some(3.0))];
    for (index, (mask, background, sigma)) in settings.into_iter().enumerate() {
        let output = |name: &str| here.join(format!("{name}{index}"));
        let with = |images: &[PathBuf; 1], output: PathBuf, max_bytes, with_table| {
            map(&MapRequest {
                mask,
                background,
                sigma,
                with_table,
                limits: ReadLimits { max_bytes },
                ..request("adc", images, &output)
            })
        };
        let whole = with(&gzipped, output("whole"), 8 << 30, true);
        same(&whole, &with(&gzipped, output("memory"), 8 << 30, false));
        // The series needs 704 000 bytes: it is inflated beside the output.
        same(&whole, &with(&gzipped, output("spooled"), 200_000, false));
        // Sidecars name their source, which here is another file.
        let whole = with(&plain, output("whole-plain"), 8 << 30, true);
        same(&whole, &with(&plain, output("disk"), 200_000, false));
        for n_threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let output = output(&format!("threads{n_threads}-"));
            same(&whole, &pool.install(|| with(&plain, output, 1 << 30, false)));
        }
    }
}

#[test]
fn a_dynamic_series_finds_its_bolus_in_pieces_too() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let times: Vec<f64> = (0..14).map(|frame| 8.0 * f64::from(frame)).collect();
    let values = times.iter().flat_map(|&time| {
        (0..grid().n_voxels()).map(move |voxel| {
            let uptake =
                if time > 30.0 { (1.0 - (-(time - 30.0) / 20.0).exp()) * 90.0 } else { 0.0 };
            (f64::from(signal(voxel, 0.0)) * 0.2
                + 40.0
                + uptake
                + ((voxel + time as usize) % 3) as f64) as f32
        })
    });
    let scaling = Scaling { slope: 0.5, intercept: 3.0 };
    let series =
        Series::new(grid(), Samples::Single(values.collect()), vec![scaling; times.len()]).unwrap();
    let images = [here.join("dce.nii")];
    write_scanner_series(&images[0], &series, None).unwrap();
    let acquisition = AcquisitionPlan {
        frame_times_s: Some(times),
        flip_angles_deg: Some(vec![12.0]),
        repetition_time_ms: Some(5.0),
        ..AcquisitionPlan::default()
    };
    let outputs = ["whole", "pieces"].map(|name| here.join(name));
    let [whole, pieces] =
        [(&outputs[0], true), (&outputs[1], false)].map(|(output, with_table)| {
            map(&MapRequest {
                acquisition: acquisition.clone(),
                t10: Some(T10Input::ValueMs(1200.0)),
                with_table,
                ..request("iauc60", &images, output)
            })
        });
    assert!(whole.0.arrival_s.is_some());
    same(&whole, &pieces);
}

#[test]
fn only_the_chosen_maps_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let images = [diffusion(here, "dwi.nii")];
    let all = map(&request("adc", &images, &here.join("all")));
    let output = here.join("some");
    let parameters = measure::named("adc").unwrap().parameters;
    let words = ["adc", "status"].map(String::from);
    let mut chosen = request("adc", &images, &output);
    chosen.maps = MapChoice::new(&words, &parameters).unwrap();
    let some = map(&chosen);
    let names: Vec<&String> = some.1.keys().filter(|name| name.ends_with(".nii.gz")).collect();
    assert_eq!(names, ["dwi_desc-adcStatus_dseg.nii.gz", "dwi_desc-adc_ADC.nii.gz"]);
    assert!(some.1.iter().all(|(name, bytes)| all.1[name] == *bytes));
    let output = here.join("plain");
    let plain = MapRequest { compression: Compression::None, output: &output, ..chosen };
    single::map(&plain, &Silent).unwrap();
    let read = |path: &Path| read_volume(path, &ReadLimits::default()).unwrap().image;
    let ours = read(&output.join("dwi_desc-adc_ADC.nii"));
    assert_eq!(ours, read(&here.join("some/dwi_desc-adc_ADC.nii.gz")));
    let error = MapChoice::new(&["t2".into()], &parameters).unwrap_err();
    assert_eq!(error.message(), "`--maps t2` is not a map");
}

#[test]
fn a_damaged_stream_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let images = [diffusion(here, "dwi.nii.gz")];
    let whole = std::fs::read(&images[0]).unwrap();
    let mut flipped = whole.clone();
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 1;
    for bytes in [&flipped[..], &whole[..whole.len() - 9]] {
        std::fs::write(&images[0], bytes).unwrap();
        for max_bytes in [200_000, 8 << 30] {
            let output = here.join("maps");
            let limits = ReadLimits { max_bytes };
            let damaged = MapRequest { limits, ..request("adc", &images, &output) };
            let error = single::map(&damaged, &Silent).unwrap_err();
            assert!(error.message().starts_with("gzip stream"), "{error}");
            assert_eq!(error.path(), Some(images[0].as_path()));
            assert!(std::fs::read_dir(&output).map_or(0, Iterator::count) == 0, "left behind");
        }
    }
}
