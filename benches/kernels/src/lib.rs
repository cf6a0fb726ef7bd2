//! Holds the benches only.
