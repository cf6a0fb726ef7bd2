//! The one integration binary: the program and its library from outside.

mod golden_thickness;
mod shared_data;
