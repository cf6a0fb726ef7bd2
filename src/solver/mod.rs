//! Solvers on slices: they know no MRI.

pub mod elementary;
pub mod levenberg_marquardt;
pub mod linear;
pub mod variable_projection;
