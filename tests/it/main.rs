//! The one integration binary: the program and its library from outside.

mod golden_fits;
mod properties;
mod recovery;
mod shared_data;
