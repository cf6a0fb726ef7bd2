//! Time of every kernel with its spread, on data from fixed seeds; sizes stand in the names.
//!
//! `make bench BENCH=t2` measures the group whose name holds `t2`. Rates in elements per second are voxels,
//! pseudo-experiments, values or bytes.

#[path = "../../../shared/estimators.rs"]
mod estimators;
mod fitting;
mod nifti;
mod perfusion;
mod pseudo_experiments;
mod simulated;
mod statistics;

use std::error::Error;
use std::time::Duration;

use criterion::Criterion;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    fitting::t2(&mut criterion)?;
    fitting::adc(&mut criterion)?;
    fitting::t1_vfa(&mut criterion)?;
    pseudo_experiments::adc(&mut criterion)?;
    perfusion::iauc60(&mut criterion)?;
    statistics::k_means(&mut criterion)?;
    statistics::first_order(&mut criterion);
    nifti::gzip(&mut criterion)?;
    nifti::images(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
