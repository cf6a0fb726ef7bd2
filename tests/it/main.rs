//! The one integration binary: the program and its library from outside.

mod shared_data;
mod simulated_cohorts;
