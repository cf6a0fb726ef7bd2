//! From a specification to results.
