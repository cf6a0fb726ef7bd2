//! Groups of voxels that behave alike.
