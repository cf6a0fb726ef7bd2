//! The `biomarker` program.

fn main() {}
