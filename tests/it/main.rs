//! The one integration binary: the program and its library from outside.

mod coverage;
mod shared_data;
