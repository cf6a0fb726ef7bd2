//! Solvers on slices: they know no MRI.
