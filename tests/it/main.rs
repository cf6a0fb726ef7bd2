//! The one integration binary: the program and its library from outside.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests may panic and read files"
)]

mod bids_input;
mod cli;
mod cohort_trials;
mod coverage;
mod golden_dce;
mod golden_epg;
mod golden_fits;
mod golden_inference;
mod golden_models;
mod golden_paired;
mod golden_statistics;
mod golden_thickness;
mod golden_tofts;
mod hostile;
mod map_command;
mod nifti_reading;
mod nifti_writing;
mod pipelines;
mod program;
mod properties;
mod real_data;
mod recovery;
mod rician_bias;
mod shared_data;
mod simulated_cohorts;
mod streaming;
mod tables;
mod thickness_definitions;
mod thickness_uncertainty;
mod tidy;
