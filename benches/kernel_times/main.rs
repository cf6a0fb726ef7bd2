//! Kernels on files that peers read too, one run per request.
//!
//! `kernel_times FOLDER` reads requests from standard input, one per line, and answers each with one
//! line of JSON, so that a driver can run peers and kernels in turn and read the clocks itself:
//!
//! ```text
//! load WORKLOAD [SIZE]     → {"items": …}      reads the inputs
//! run WORKLOAD [SIZE]      → {"items": …}      one run
//! values WORKLOAD [SIZE]   → {"values": […]}   what the last run found
//! ```
//!
//! Threads are those of `RAYON_NUM_THREADS`.

mod distances;
#[path = "../shared/estimators.rs"]
mod estimators;
mod fits;
mod gzip;
mod limits;
mod perfusion;
mod pseudo_experiments;
mod registration;
mod values;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use biomarker::model::Detail;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Something that is timed.
trait Workload {
    /// Voxels, fits, values or bytes of one run.
    fn n_items(&self) -> usize;

    /// The work; what it finds is kept for [`Workload::values`].
    fn run(&mut self) -> Result<()>;

    /// Numbers that the accuracy is judged by.
    fn values(&self) -> Vec<f64>;
}

/// Builds the workload called `name`; `size` means what the workload says.
fn workload(folder: &Path, name: &str, size: Option<usize>) -> Result<Box<dyn Workload>> {
    Ok(match name {
        "t2_mask" => Box::new(fits::Masked::t2(folder, Some("t2_mask.nii"))?),
        "t2_all" => Box::new(fits::Masked::t2(folder, None)?),
        "t2_packed" => Box::new(fits::Packed::t2(folder)?),
        "t2_mask_traffic" => Box::new(fits::Masked::t2_traffic(folder, Some("t2_mask.nii"))?),
        "t2_all_traffic" => Box::new(fits::Masked::t2_traffic(folder, None)?),
        "adc_region_traffic" => {
            Box::new(fits::Masked::adc_traffic(folder, Some("adc_region.nii"))?)
        }
        "t2_cached" => Box::new(fits::Packed::t2(folder)?.cached()),
        "adc_cached" => Box::new(fits::Packed::adc(folder)?.cached()),
        "iauc60_traffic" => Box::new(fits::Masked::iauc60_traffic(folder)?),
        "fused_single" => Box::new(limits::Fused::single()),
        "fused_double" => Box::new(limits::Fused::double()),
        "memory" => Box::new(limits::Memory::new()),
        "adc_region" => Box::new(fits::Masked::adc(folder, Some("adc_region.nii"))?),
        "adc_all" => Box::new(fits::Masked::adc(folder, None)?),
        "adc_packed" => Box::new(fits::Packed::adc(folder)?),
        "iauc60" => Box::new(fits::Masked::iauc60(folder)?),
        "iauc60_packed" => Box::new(perfusion::Packed::iauc60(folder, Detail::Everything)?),
        "iauc60_packed_area" => Box::new(perfusion::Packed::iauc60(folder, Detail::Estimates)?),
        "extended_tofts" => Box::new(perfusion::Packed::extended_tofts(folder)?),
        "pseudo_gaussian" => Box::new(pseudo_experiments::Draws::gaussian(folder, size)?),
        "pseudo_rician" => Box::new(pseudo_experiments::Draws::rician(folder, size)?),
        "k_means" => Box::new(values::Clusters::new(folder)?),
        "first_order" => Box::new(values::Features::new(folder)?),
        "registration" => Box::new(registration::FreeForm::new(folder)?),
        "distance_transform" => {
            Box::new(distances::Field::new(folder, distances::Kind::SignedDistance)?)
        }
        "local_thickness" => {
            Box::new(distances::Field::new(folder, distances::Kind::LocalThickness)?)
        }
        "read" => Box::new(gzip::Read::new(folder.join("adc.nii"))),
        "read_gzip" => Box::new(gzip::Read::new(folder.join("adc.nii.gz"))),
        "inflate_zlib_rs" => Box::new(gzip::Inflate::zlib_rs(folder)?),
        "inflate_libdeflate" => Box::new(gzip::Inflate::libdeflate(folder)?),
        "deflate_libdeflate_1" => Box::new(gzip::Deflate::new(folder, gzip::Content::Full)?),
        "deflate_libdeflate_1_masked" => {
            Box::new(gzip::Deflate::new(folder, gzip::Content::Masked)?)
        }
        "encode_map" => Box::new(gzip::Encode::new(folder, gzip::Content::Full)?),
        "encode_map_masked" => Box::new(gzip::Encode::new(folder, gzip::Content::Masked)?),
        "io_floor" => Box::new(gzip::Floor::new(folder, "adc.nii", "floor.nii")?),
        "io_floor_gzip" => Box::new(gzip::Floor::new(folder, "adc.nii.gz", "floor.nii.gz")?),
        "write_map" => Box::new(gzip::Write::new(folder, gzip::Content::Full)?),
        "write_map_masked" => Box::new(gzip::Write::new(folder, gzip::Content::Masked)?),
        _ => return Err(format!("no workload is called `{name}`").into()),
    })
}

/// Workloads already built, by request.
struct Bench {
    folder: PathBuf,
    workloads: BTreeMap<String, Box<dyn Workload>>,
}

impl Bench {
    fn answer(&mut self, request: &str) -> Result<Value> {
        let (verb, rest) = request.split_once(' ').ok_or("a request is a verb and a workload")?;
        let (name, size) = match rest.split_once(' ') {
            Some((name, size)) => (name, Some(size.parse()?)),
            None => (rest, None),
        };
        if !self.workloads.contains_key(rest) {
            self.workloads.insert(rest.to_owned(), workload(&self.folder, name, size)?);
        }
        let workload = self.workloads.get_mut(rest).ok_or("no workload")?;
        match verb {
            "load" => {}
            "run" => workload.run()?,
            "values" => return Ok(json!({ "values": workload.values() })),
            _ => return Err(format!("no verb is called `{verb}`").into()),
        }
        Ok(json!({ "items": workload.n_items() }))
    }
}

fn main() -> Result<()> {
    // Cargo adds options of its own.
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let Some(folder) = folder.map(PathBuf::from) else {
        return Err("usage: kernel_times FOLDER, requests on standard input".into());
    };
    let mut bench = Bench { folder, workloads: BTreeMap::new() };
    let mut output = std::io::stdout().lock();
    for request in std::io::stdin().lock().lines() {
        let request = request?;
        let answer = bench.answer(request.trim());
        let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}
