//! Derivative datasets.
