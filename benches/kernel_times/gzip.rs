//! Images from and to the disk, and the libraries beneath in memory. Items are plain bytes.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use biomarker::image::Volume;
use biomarker::io::atomic;
use biomarker::io::nifti::{
    self, Compression, Header, MapFile, PIECE_VOXELS, Piece, ReadLimits, StoredSeries,
};
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

/// Encodes a map in memory as the program does.
pub(crate) struct Encode {
    pieces: Vec<Piece>,
    n_bytes: usize,
}

impl Encode {
    pub(crate) fn new(folder: &Path, content: Content) -> Result<Self> {
        let (map, _) = content.of(folder)?;
        let encoded = |part: &[f32]| {
            let bytes = part.iter().flat_map(|value| value.to_le_bytes()).collect();
            Piece::new(bytes, Compression::Gzip)
        };
        let pieces = map.voxels().chunks(PIECE_VOXELS).map(encoded).collect();
        Ok(Self { pieces, n_bytes: 4 * map.voxels().len() })
    }
}

impl Workload for Encode {
    fn n_items(&self) -> usize {
        self.n_bytes
    }

    fn run(&mut self) -> Result<()> {
        self.pieces.iter_mut().for_each(|piece| piece.encode(Compression::Gzip));
        Ok(())
    }

    /// Packed bytes.
    fn values(&self) -> Vec<f64> {
        vec![self.pieces.iter().map(|piece| piece.encoded().len()).sum::<usize>() as f64]
    }
}

/// What `map` does to the diffusion series, but for the fit: opens it, turns every stored value into a
/// signal, and writes its first volume as a map. Items are runs.
pub(crate) struct Floor {
    series: PathBuf,
    folder: tempfile::TempDir,
    map: &'static str,
}

impl Floor {
    pub(crate) fn new(folder: &Path, series: &str, map: &'static str) -> Result<Self> {
        let series = folder.join(series);
        Ok(Self { series, folder: tempfile::tempdir_in(folder)?, map })
    }
}

impl Workload for Floor {
    fn n_items(&self) -> usize {
        1
    }

    fn run(&mut self) -> Result<()> {
        let limits = ReadLimits::default();
        let folder = self.folder.path();
        let series = StoredSeries::open(&self.series, &limits, limits.max_bytes, folder)?;
        let header = series.header();
        let mut file = MapFile::floats(&folder.join(self.map), header, [0.0, 1000.0])?;
        let n_voxels = header.grid().n_voxels();
        let (mut buffer, mut piece) = (Vec::new(), Piece::default());
        let mut signals = vec![0.0; PIECE_VOXELS];
        for start in (0..n_voxels).step_by(PIECE_VOXELS) {
            let voxels = start..n_voxels.min(start + PIECE_VOXELS);
            let signals = &mut signals[..voxels.len()];
            for volume in (0..header.n_volumes()).rev() {
                let stored = series.stored(volume, voxels.clone(), &mut buffer)?;
                series.signals_into(stored, signals);
            }
            let bytes = piece.stored_mut();
            bytes.clear();
            bytes.extend(signals.iter().flat_map(|&value| (value as f32).to_le_bytes()));
            piece.encode(file.compression());
            file.append(&piece)?;
        }
        Ok(atomic::finish(vec![file.finish()?])?)
    }

    fn values(&self) -> Vec<f64> {
        Vec::new()
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
