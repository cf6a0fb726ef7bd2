//! Solvers on slices: they know no MRI.

pub mod elementary;
pub mod l_bfgs;
pub mod levenberg_marquardt;
pub mod linear;
pub mod variable_projection;
