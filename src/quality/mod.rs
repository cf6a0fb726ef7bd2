//! Which voxels are kept, and why the others are not.
