//! Statistics over all subjects.
