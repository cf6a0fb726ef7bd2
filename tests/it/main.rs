//! The one integration binary: the program and its library from outside.

mod hostile;
mod nifti_reading;
mod nifti_writing;
mod shared_data;
