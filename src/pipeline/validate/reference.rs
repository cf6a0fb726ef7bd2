//! Reference values as they came: comma-separated tables and maps.

use std::path::Path;

use crate::error::{Error, Result};
use crate::image::Grid;
use crate::io;

/// A comma-separated table of numbers with named columns; cells may be quoted.
#[derive(Debug, Clone)]
pub(super) struct ReferenceTable {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl ReferenceTable {
    /// Reads it; cells that are no number are NaN.
    ///
    /// # Errors
    ///
    /// `Missing` as of the file system; `Format` when a row is not as long as the header.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = io::text(path)?;
        let mut lines = text.lines().map(cells);
        let names = lines.next().unwrap_or_default();
        let mut rows = Vec::new();
        for (index, cells) in lines.enumerate() {
            if cells.len() != names.len() {
                return Err(Error::format(format!(
                    "{} cells below {} names",
                    cells.len(),
                    names.len()
                ))
                .at_path(path)
                .at_position(index + 2, 1));
            }
            rows.push(cells.iter().map(|cell| cell.parse().unwrap_or(f64::NAN)).collect());
        }
        Ok(Self { names, rows })
    }

    /// Number of rows.
    pub(super) fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// The number in `row` under the first name that begins with `name`; NaN where there is none.
    pub(super) fn get(&self, row: usize, name: &str) -> f64 {
        let column = self.names.iter().position(|own| own.starts_with(name));
        let value = column.and_then(|column| self.rows.get(row)?.get(column));
        value.copied().unwrap_or(f64::NAN)
    }

    /// Linear index of the voxel of `row`, its slices counted from `first_slice`.
    ///
    /// # Errors
    ///
    /// `Mismatch` when it lies outside `grid`.
    pub(super) fn voxel(&self, row: usize, first_slice: usize, grid: &Grid) -> Result<usize> {
        let at = |name: &str| self.get(row, name) as usize;
        let voxel = [at("i"), at("j"), at("k").wrapping_sub(first_slice)];
        if voxel.iter().zip(grid.shape()).all(|(&index, size)| index < size) {
            return Ok(grid.index(voxel));
        }
        Err(Error::mismatch(format!("voxel {voxel:?} of row {row} lies outside the series")))
    }
}

/// Cells of a line; a comma between quotes does not part them.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    for c in line.trim_start_matches('\u{feff}').chars() {
        match (c, cells.last_mut()) {
            ('"', _) => is_quoted = !is_quoted,
            (',', _) if !is_quoted => cells.push(String::new()),
            (c, Some(cell)) => cell.push(c),
            (_, None) => {}
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::image::Affine;
    use crate::io::atomic;

    #[test]
    fn quoted_names_keep_their_commas() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        atomic::write(&path, b"i,j,\"k(full, 24)\",t2\n1,2,5,35.5\n0,0,4,\n9,0,4,1\n").unwrap();
        let table = ReferenceTable::read(&path).unwrap();
        assert_eq!(table.n_rows(), 3);
        assert!((table.get(0, "t2") - 35.5).abs() < 1e-12 && table.get(1, "t2").is_nan());
        assert!(table.get(0, "t1").is_nan() && table.get(7, "t2").is_nan());
        let grid = Grid::new([2, 3, 2], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap();
        assert_eq!(table.voxel(0, 4, &grid).unwrap(), grid.index([1, 2, 1]));
        assert_eq!(table.voxel(2, 4, &grid).unwrap_err().kind(), ErrorKind::Mismatch);
        assert_eq!(table.voxel(1, 5, &grid).unwrap_err().kind(), ErrorKind::Mismatch);
        atomic::write(&path, b"i,j\n1\n").unwrap();
        assert_eq!(ReferenceTable::read(&path).unwrap_err().position(), Some((2, 1)));
    }
}
