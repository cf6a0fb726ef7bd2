//! Statistics on slices: they know no MRI.
