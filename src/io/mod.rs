//! The only room on the disk: files in, files out, every error with its path.
#![expect(clippy::disallowed_methods, reason = "this is the module the ban points to")]

pub mod atomic;
pub mod bids;
pub mod derivatives;
pub mod gradient_table;
pub mod parquet;
pub mod sidecar;
mod text_file;
pub mod text_table;
