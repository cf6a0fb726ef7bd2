//! The only room on the disk: files in, files out, every error with its path.
#![expect(clippy::disallowed_methods, reason = "this is the module the ban points to")]

pub mod atomic;
pub mod gradient_table;
pub mod sidecar;
mod text_file;
