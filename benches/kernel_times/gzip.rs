//! Images from and to the disk, and the libraries beneath in memory. Items are plain bytes.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use biomarker::image::Volume;
use biomarker::io::nifti::{self, Header, ReadLimits};
use libdeflater::{CompressionLvl, Compressor, Decompressor};

use super::{Result, Workload, fits};

/// A float map: everywhere, or 0 outside the region.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    Full,
    Masked,
}

impl Content {
    fn of(self, folder: &Path) -> Result<(Volume<f32>, Header)> {
        let path = folder.join("adc.nii");
        let image = nifti::read_series(&path, &ReadLimits::default())?;
        let mut map = image.image.volume(0).map(|&value| value as f32);
        if matches!(self, Self::Masked) {
            let region = fits::mask(folder, "adc_region.nii")?;
            for (index, value) in map.voxels_mut().iter_mut().enumerate() {
                if !region.contains(index) {
                    *value = 0.0;
                }
            }
        }
        Ok((map, image.header))
    }
}

/// Reads the diffusion series as the program does.
pub(crate) struct Read {
    path: PathBuf,
    n_bytes: usize,
}

impl Read {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, n_bytes: 0 }
    }
}

impl Workload for Read {
    fn n_items(&self) -> usize {
        self.n_bytes
    }

    fn run(&mut self) -> Result<()> {
        let image = nifti::read_series(&self.path, &ReadLimits::default())?.image;
        self.n_bytes = 4 * image.samples().len();
        Ok(())
    }

    fn values(&self) -> Vec<f64> {
        Vec::new()
    }
}

/// Inflates the diffusion series in memory.
pub(crate) struct Inflate {
    packed: Vec<u8>,
    plain: Vec<u8>,
    library: fn(&[u8], &mut Vec<u8>) -> Result<()>,
}

impl Inflate {
    pub(crate) fn zlib_rs(folder: &Path) -> Result<Self> {
        Self::new(folder, |packed, plain| {
            plain.clear();
            flate2::read::MultiGzDecoder::new(packed).read_to_end(plain)?;
            Ok(())
        })
    }

    pub(crate) fn libdeflate(folder: &Path) -> Result<Self> {
        Self::new(folder, |packed, plain| {
            Decompressor::new().gzip_decompress(packed, plain)?;
            Ok(())
        })
    }

    #[allow(clippy::disallowed_methods, reason = "the packed bytes, without the program's reader")]
    fn new(folder: &Path, library: fn(&[u8], &mut Vec<u8>) -> Result<()>) -> Result<Self> {
        let packed = std::fs::read(folder.join("adc.nii.gz"))?;
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut plain)?;
        Ok(Self { packed, plain, library })
    }
}

impl Workload for Inflate {
    fn n_items(&self) -> usize {
        self.plain.len()
    }

    fn run(&mut self) -> Result<()> {
        (self.library)(&self.packed, &mut self.plain)
    }

    fn values(&self) -> Vec<f64> {
        Vec::new()
    }
}

/// Deflates a map in memory with libdeflate at level 1.
pub(crate) struct Deflate {
    plain: Vec<u8>,
    packed: Vec<u8>,
    n_packed: usize,
}

impl Deflate {
    pub(crate) fn new(folder: &Path, content: Content) -> Result<Self> {
        let (map, _) = content.of(folder)?;
        let plain = map.voxels().iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(Self { plain, packed: Vec::new(), n_packed: 0 })
    }
}

impl Workload for Deflate {
    fn n_items(&self) -> usize {
        self.plain.len()
    }

    fn run(&mut self) -> Result<()> {
        let level = CompressionLvl::new(1).map_err(|error| format!("{error:?}"))?;
        let mut compressor = Compressor::new(level);
        self.packed.resize(compressor.gzip_compress_bound(self.plain.len()), 0);
        self.n_packed = compressor.gzip_compress(&self.plain, &mut self.packed)?;
        Ok(())
    }

    /// Packed bytes.
    fn values(&self) -> Vec<f64> {
        vec![self.n_packed as f64]
    }
}

/// Writes a map as the program does, the disk included.
pub(crate) struct Write {
    map: Volume<f32>,
    header: Header,
    folder: tempfile::TempDir,
}

impl Write {
    pub(crate) fn new(folder: &Path, content: Content) -> Result<Self> {
        let (map, header) = content.of(folder)?;
        Ok(Self { map, header, folder: tempfile::tempdir_in(folder)? })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("map.nii.gz")
    }
}

impl Workload for Write {
    fn n_items(&self) -> usize {
        4 * self.map.voxels().len()
    }

    fn run(&mut self) -> Result<()> {
        nifti::write_map(&self.path(), &self.map, &self.header, [0.0, 1000.0])?;
        Ok(())
    }

    /// Bytes of the file.
    fn values(&self) -> Vec<f64> {
        let length = std::fs::metadata(self.path()).map_or(f64::NAN, |file| file.len() as f64);
        vec![length]
    }
}
