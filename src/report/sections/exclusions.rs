//! Where every voxel of each region went.

use super::tables;
use crate::error::Result;
use crate::report::{Cell, Page, PageTable};

/// One row per region and reason.
pub(super) fn render(page: &Page) -> Result<String> {
    let rows = page.exclusions.iter().map(|row| -> Vec<Cell> {
        let fraction = format!("{:.1} %", 100.0 * row.fraction);
        vec![
            row.place.as_str().into(),
            row.reason.as_str().into(),
            row.n_voxels.to_string().into(),
            fraction.into(),
        ]
    });
    let table = PageTable {
        columns: ["region", "outcome", "voxels", "of the region"].map(String::from).to_vec(),
        rows: rows.collect(),
        ..PageTable::default()
    };
    tables::all(&[table])
}
