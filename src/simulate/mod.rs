//! Digital reference objects with known truth.
