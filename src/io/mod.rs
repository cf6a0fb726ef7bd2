//! The only room on the disk: files in, files out, every error with its path.
#![expect(clippy::disallowed_methods, reason = "this is the module the ban points to")]

pub mod atomic;
pub mod bids;
pub mod derivatives;
pub mod digest;
pub mod gradient_table;
pub mod lock;
pub mod mesh;
pub mod nifti;
pub mod parquet;
pub mod sidecar;
mod text_file;
pub mod text_table;

use std::path::Path;

use crate::error::Result;

/// Largest text file that is read, bytes: pipelines and records are far smaller.
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// The whole of a UTF-8 text file.
///
/// # Errors
///
/// `Missing` when it is not there, `Format` when it is not UTF-8 or above 64 MiB.
pub fn text(path: &Path) -> Result<String> {
    text_file::read(path, TEXT_BYTES_MAX)
}
