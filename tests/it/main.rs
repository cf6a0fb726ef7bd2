//! The one integration binary: the program and its library from outside.

mod hostile;
mod nifti_reading;
mod shared_data;
