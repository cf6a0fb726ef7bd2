//! NIfTI-1 and NIfTI-2 images, read with every check and written bit for bit the same.
//!
//! ```text
//! signal = stored·scl_slope + scl_inter        evaluated in 64-bit
//! scanner = sform · voxel, else qform · voxel, else diag(−dx, dy, dz) about the image's centre
//! ```
//!
//! Read are single files (`.nii`) and header/image pairs (`.hdr` + `.img`), plain or gzipped whatever
//! their name says, in both byte orders, with any integer of 8 to 64 bits or floating point of 32 or
//! 64. Complex, RGB and 128-bit voxels, Analyze 7.5 files, sheared affines and lengths in other units
//! than mm are refused by name. Sizes are checked against the file and [`ReadLimits`] before memory is
//! taken; gzip streams are checked to their last byte. Voxels that are not finite are counted and
//! kept.
//!
//! Written are single files, little-endian, in the reference's version, with its sform and qform. No
//! free text (`descrip`, `aux_file`, `db_name`, extensions) ever goes from an input to an output.
//!
//! # Example
//!
//! ```
//! use biomarker::image::{Affine, Grid, Volume};
//! use biomarker::io::nifti::{Header, ReadLimits, read_series, write_map};
//!
//! # fn main() -> biomarker::error::Result<()> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let path = folder.path().join("sub-01_ADC.nii.gz");
//! let grid = Grid::new([4, 4, 2], Affine::from_spacing([2.0, 2.0, 3.0], [0.0; 3])?)?;
//! let adc_mm2_per_s = Volume::from_fn(grid, |_| 1.1e-3_f32);
//! write_map(&path, &adc_mm2_per_s, &Header::of_grid(grid), [0.0, 3e-3])?;
//!
//! let read = read_series(&path, &ReadLimits::default())?;
//! assert_eq!(read.image.grid(), &grid);
//! assert_eq!(read.image.signal(0, 0), f64::from(1.1e-3_f32));
//! # Ok(())
//! # }
//! ```
//!
//! # Reference
//!
//! Cox RW et al. A (sort of) new image data format standard: NIfTI-1. Human Brain Mapping 2004,
//! <https://nifti.nimh.nih.gov/nifti-1>; NIfTI-2: <https://nifti.nimh.nih.gov/nifti-2>. Where the
//! standard is silent the reading is that of nibabel 5.4, doi:10.5281/zenodo.591597.

mod datatype;
mod deflate;
mod file;
mod gzip;
mod header;
mod map_file;
mod memory;
mod placement;
mod raw;
mod read;
mod stored;
mod write;

pub use datatype::Datatype;
pub use header::Header;
pub use map_file::{MapFile, PIECE_VOXELS, Piece};
pub use placement::{AffineSource, SHEAR_TOLERANCE};
pub use read::{Image, read_header, read_labels, read_mask, read_series, read_volume};
pub use stored::{Oddities, StoredSeries};
pub use write::{
    Compression, write_codes, write_labels, write_map, write_mask, write_scanner_series,
    write_series_map,
};

pub use ::nifti::Endianness;

/// Version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 348-byte header, up to 32 767 voxels along an axis.
    Nifti1,
    /// 540-byte header, 64-bit sizes.
    Nifti2,
}

/// How much a file may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Largest size of the file, of what it inflates to, and of its voxels, in bytes.
    pub max_bytes: u64,
}

impl Default for ReadLimits {
    /// 8 GiB, more than any series of the planned sequences.
    fn default() -> Self {
        Self { max_bytes: 8 << 30 }
    }
}
