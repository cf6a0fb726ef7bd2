//! One typed schema per table.
