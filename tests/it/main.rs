//! The one integration binary: the program and its library from outside.

mod golden_statistics;
mod shared_data;
