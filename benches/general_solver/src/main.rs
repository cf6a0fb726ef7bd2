//! The yardstick on samples that peers see too: `general_solver SAMPLES ABSCISSAE`.
//!
//! SAMPLES holds little-endian 64-bit floats, one voxel after the other; ABSCISSAE are four or six
//! numbers with commas between. Each line of standard input is a request: `load` and `run`, which fits
//! all voxels, answer `{"items": …}`; `values` answers `{"values": […]}`, the rates of the last run.

use std::error::Error;
use std::io::{BufRead, Write};

use general_solver::rate;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Fits every voxel.
fn rates(abscissae: &[f64], samples: &[f64]) -> Result<Vec<f64>> {
    match abscissae.len() {
        4 => rates_of::<4>(abscissae, samples, rate),
        6 => rates_of::<6>(abscissae, samples, rate),
        n => Err(format!("{n} abscissae: this program is compiled for 4 and 6").into()),
    }
}

fn rates_of<const N: usize>(
    abscissae: &[f64],
    samples: &[f64],
    rate: impl Fn(&[f64; N], &[f64; N]) -> f64,
) -> Result<Vec<f64>> {
    let abscissae = abscissae.try_into()?;
    samples.chunks_exact(N).map(|voxel| Ok(rate(&abscissae, voxel.try_into()?))).collect()
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, path, abscissae] = &arguments[..] else {
        return Err("usage: general_solver SAMPLES ABSCISSAE".into());
    };
    let samples: Vec<f64> = std::fs::read(path)?
        .chunks_exact(8)
        .map(|bytes| Ok(f64::from_le_bytes(bytes.try_into()?)))
        .collect::<Result<_>>()?;
    let abscissae: Vec<f64> =
        abscissae.split(',').map(str::parse).collect::<std::result::Result<_, _>>()?;
    let mut found = Vec::new();
    let mut output = std::io::stdout().lock();
    for request in std::io::stdin().lock().lines() {
        match request?.as_str() {
            "load" => writeln!(output, r#"{{"items": {}}}"#, samples.len() / abscissae.len())?,
            "run" => {
                found = rates(&abscissae, &samples)?;
                writeln!(output, r#"{{"items": {}}}"#, found.len())?;
            }
            "values" => writeln!(output, r#"{{"values": {found:?}}}"#)?,
            other => return Err(format!("unknown request `{other}`").into()),
        }
        output.flush()?;
    }
    Ok(())
}
