//! The one integration binary: the program and its library from outside.

mod bids_input;
mod shared_data;
mod tables;
