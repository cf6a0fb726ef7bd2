//! From a specification to results: spec (as written) → plan (as checked) → run.

pub mod spec;
