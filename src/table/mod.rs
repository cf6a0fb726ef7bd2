//! One typed schema per table.
//!
//! A [`Table`] holds the columns of its [`Schema`], always all of them and in their order. Missing is
//! null, never NaN or infinite; why it is missing stands in `exclusion_reason`. Columns whose unit
//! reads `units` carry the unit that the same row names in its column `units`; nothing here converts.

mod frame;
mod row;
mod schema;
pub mod schemas;
mod values;

pub use row::Row;
pub use schema::{Column, Kind, Schema};
pub use schemas::SCHEMAS;
pub use values::{Table, Texts, Values};
