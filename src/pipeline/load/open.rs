//! A series of one or several files that is read in pieces.

use std::ops::Range;

use super::{SeriesSource, file_name, without_folder};
use crate::acquisition::Protocol;
use crate::error::{Error, Result};
use crate::image::Mask;
use crate::io::nifti::{Header, Oddities, PIECE_VOXELS, StoredSeries};

/// The files of a series, open and checked, on one grid.
pub struct OpenSeries {
    source: SeriesSource,
    files: Vec<StoredSeries>,
    /// File and place in it of each volume, in the order of the protocol.
    volumes: Vec<(usize, usize)>,
}

impl OpenSeries {
    pub(super) fn new(
        source: &SeriesSource,
        files: Vec<StoredSeries>,
        volumes: Vec<(usize, usize)>,
    ) -> Self {
        Self { source: source.clone(), files, volumes }
    }

    /// Header of the first file.
    pub fn header(&self) -> &Header {
        self.files[0].header()
    }

    /// What was played out.
    pub fn protocol(&self) -> &Protocol {
        &self.source.protocol
    }

    /// Number of files.
    pub fn n_files(&self) -> usize {
        self.files.len()
    }

    /// Number of volumes.
    pub fn n_volumes(&self) -> usize {
        self.volumes.len()
    }

    /// Number of voxels of one volume.
    pub fn n_voxels(&self) -> usize {
        self.header().grid().n_voxels()
    }

    /// Whether any voxel of any file can be odd.
    pub fn may_be_odd(&self) -> bool {
        self.files.iter().any(StoredSeries::may_be_odd)
    }

    /// Oddities of files and sidecars, each a sentence without paths; `found` is the sum over all
    /// voxels, one per file.
    pub fn warnings(&self, found: &[Oddities]) -> Vec<String> {
        let mut warnings = Vec::new();
        for ((file, path), &found) in self.files.iter().zip(&self.source.images).zip(found) {
            let name = file_name(path);
            warnings.extend(file.warnings(found).iter().map(|text| format!("{name}: {text}")));
        }
        for sidecar in &self.source.sidecars {
            warnings.extend(sidecar.warnings().iter().map(|warning| without_folder(warning)));
        }
        warnings
    }

    /// The stored bytes of `voxels` (linear indices), one slice per volume; `buffers`, one per
    /// volume, may be used for them.
    ///
    /// # Errors
    ///
    /// As [`StoredSeries::stored`].
    pub fn stored<'a>(
        &'a self,
        voxels: Range<usize>,
        buffers: &'a mut [Vec<u8>],
    ) -> Result<Vec<&'a [u8]>> {
        let pairs = self.volumes.iter().zip(buffers);
        pairs
            .map(|(&(file, volume), buffer)| {
                self.files[file].stored(volume, voxels.clone(), buffer)
            })
            .collect()
    }

    /// Writes signals, shape `[n_volumes, n]`, of the voxels from `first` on in what
    /// [`OpenSeries::stored`] gave; adds what is odd, one per file.
    pub fn signals_into(
        &self,
        stored: &[&[u8]],
        first: usize,
        signals: &mut [f64],
        oddities: &mut [Oddities],
    ) {
        let rows = signals.chunks_exact_mut((signals.len() / self.n_volumes()).max(1));
        for ((&(file, _), stored), row) in self.volumes.iter().zip(stored).zip(rows) {
            let start = first * self.files[file].header().datatype().n_bytes();
            oddities[file] += self.files[file].signals_into(&stored[start..], row);
        }
    }

    /// Mean signal over `region`, or all voxels, at every volume, shape `[n_volumes]`; voxels with a
    /// signal that is not finite are left out. The same bits as
    /// [`voi_mean_curve`](crate::perfusion::voi_mean_curve).
    ///
    /// # Errors
    ///
    /// `Value` when no voxel is left; as [`OpenSeries::stored`].
    pub fn mean_curve(&self, region: Option<&Mask>) -> Result<Vec<f64>> {
        // The sum of no numbers is −0.
        let mut sums = vec![-0.0_f64; self.n_volumes()];
        let (mut n_summed, mut buffers) = (0_usize, vec![Vec::new(); self.n_volumes()]);
        let (mut signals, mut ignored) = (Vec::new(), vec![Oddities::default(); self.n_files()]);
        for start in (0..self.n_voxels()).step_by(PIECE_VOXELS) {
            let n = PIECE_VOXELS.min(self.n_voxels() - start);
            let stored = self.stored(start..start + n, &mut buffers)?;
            signals.resize(self.n_volumes() * n, 0.0);
            self.signals_into(&stored, 0, &mut signals, &mut ignored);
            for voxel in 0..n {
                let of_voxel = || signals[voxel..].iter().step_by(n);
                let is_inside = region.is_none_or(|region| region.contains(start + voxel));
                if is_inside && of_voxel().all(|signal| signal.is_finite()) {
                    sums.iter_mut().zip(of_voxel()).for_each(|(sum, signal)| *sum += signal);
                    n_summed += 1;
                }
            }
        }
        if n_summed == 0 {
            let n = region.map_or(self.n_voxels(), Mask::len);
            let text = format!("none of the {n} voxels inside has a finite signal in every frame");
            return Err(Error::value(text)
                .at_field("mask")
                .hint("draw the volume of interest on the dynamic series"));
        }
        Ok(sums.iter().map(|sum| sum / n_summed as f64).collect())
    }
}
