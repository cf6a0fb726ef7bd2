//! Transforms between scanner spaces and how they are found.
