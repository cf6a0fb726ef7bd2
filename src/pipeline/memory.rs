//! How much memory a session needs, before anything is read.

use super::locate::SessionItem;
use crate::error::{Error, Result};
use crate::io::nifti::{self, ReadLimits};

/// Bytes per stored value while it is read and fitted: the file, the samples, one copy on joining.
const BYTES_PER_VALUE: u64 = 16;

/// Bytes per voxel of the results of one fit.
const BYTES_PER_VOXEL: u64 = 200;

/// Bytes that the largest series of a session needs.
///
/// # Errors
///
/// As [`nifti::read_header`].
pub(super) fn estimate(item: &SessionItem, limits: &ReadLimits) -> Result<(u64, String)> {
    let mut largest = (0, String::new());
    for fit in &item.fits {
        let mut bytes = 0_u64;
        for path in &fit.source.images {
            let header = nifti::read_header(path, limits)?;
            let n_voxels = header.grid().n_voxels() as u64;
            let values = n_voxels.saturating_mul(header.n_volumes() as u64);
            bytes = bytes
                .saturating_add(values.saturating_mul(BYTES_PER_VALUE))
                .saturating_add(n_voxels.saturating_mul(BYTES_PER_VOXEL));
        }
        if bytes > largest.0 {
            let name = fit.source.images.first().map(|path| item.relative(path));
            largest = (bytes, name.unwrap_or_default());
        }
    }
    Ok(largest)
}

/// Passes when the largest series fits into the limit.
///
/// # Errors
///
/// `Value` naming the series, what it needs and the limit; as [`nifti::read_header`].
pub(super) fn require(item: &SessionItem, limits: &ReadLimits) -> Result<()> {
    let (needed, series) = estimate(item, limits)?;
    if needed <= limits.max_bytes {
        return Ok(());
    }
    let gigabytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Err(Error::value(format!(
        "{series} needs about {:.1} GiB, more than --max-memory {:.1} GiB",
        gigabytes(needed),
        gigabytes(limits.max_bytes)
    ))
    .hint("give more with --max-memory, as in --max-memory 16G"))
}
