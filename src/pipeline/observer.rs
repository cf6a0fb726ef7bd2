//! What a run tells while it works; the command line shows it, tests ignore it.

use crate::error::Error;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A session is being worked on.
    SessionStarted {
        /// `sub-01_ses-pre`.
        name: &'a str,
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// Nothing has changed since its results were written.
    SessionCached {
        /// `sub-01_ses-pre`.
        name: &'a str,
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// A session failed; the others go on.
    SessionFailed {
        /// `sub-01_ses-pre`.
        name: &'a str,
        /// Why.
        error: &'a Error,
    },
    /// A stage over voxels starts.
    StageStarted {
        /// What it does.
        name: &'a str,
        /// Voxels to do.
        n_voxels: usize,
    },
    /// So many more voxels are done.
    VoxelsDone(usize),
    /// Something the user should know.
    Warning(&'a str),
}

/// Whoever wants to know.
pub trait Observer: Sync {
    /// Takes note; called from worker threads too.
    fn observe(&self, event: &Event<'_>);
}

/// Nobody wants to know.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _event: &Event<'_>) {}
}
