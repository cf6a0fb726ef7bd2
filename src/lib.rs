//! Quantitative MRI to imaging biomarkers that carry their own uncertainty.
//!
//! The library is the product; the binary is a thin face on it. ARCHITECTURE.md draws the rooms and
//! says who may know whom.

pub mod error;
pub mod random;
pub mod unit;

pub mod acquisition;
pub mod image;
pub mod solver;
pub mod statistics;

pub mod model;
pub mod noise;
pub mod registration;

pub mod fit;
pub mod perfusion;

pub mod simulate;
pub mod uncertainty;

pub mod habitat;
pub mod quality;
pub mod thickness;

pub mod cohort;
pub mod table;

pub mod io;
pub mod report;

pub mod pipeline;

pub mod cli;
