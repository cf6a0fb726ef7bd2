//! A 4-D image: the same voxels seen several times.

use super::{Grid, Runs, Volume};
use crate::error::{Error, Result};

/// Stored value × slope + intercept = signal, evaluated in 64-bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Signal per stored unit; finite, not 0.
    pub slope: f64,
    /// Signal of a stored 0; finite.
    pub intercept: f64,
}

impl Scaling {
    /// Stored values are signals.
    pub const IDENTITY: Self = Self { slope: 1.0, intercept: 0.0 };

    /// The signal of one stored value.
    pub fn apply(self, stored: f64) -> f64 {
        stored * self.slope + self.intercept
    }
}

/// Stored values without loss: single precision wherever it holds every value exactly.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// Every stored value is exact in 32-bit floating point (all 8- and 16-bit integers are).
    Single(Vec<f32>),
    /// At least one stored value needs 64-bit.
    Double(Vec<f64>),
}

impl Samples {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index`.
    pub fn get(&self, index: usize) -> f64 {
        match self {
            Self::Single(values) => f64::from(values[index]),
            Self::Double(values) => values[index],
        }
    }
}

/// Samples of every voxel, volume after volume as scanners and NIfTI store them.
///
/// The value of voxel `i` in volume `k` is at `k·n_voxels + i`: lanes of neighbouring voxels are
/// contiguous, so batched solvers read them without a gather and nothing is transposed on reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    grid: Grid,
    samples: Samples,
    scalings: Vec<Scaling>,
}

impl Series {
    /// `samples` volume after volume, one scaling per volume.
    ///
    /// # Errors
    ///
    /// `Mismatch` when the samples do not fill `scalings.len()` volumes; `Value` when a scaling is
    /// not finite or a slope is 0.
    pub fn new(grid: Grid, samples: Samples, scalings: Vec<Scaling>) -> Result<Self> {
        if scalings.is_empty() || Some(samples.len()) != grid.n_voxels().checked_mul(scalings.len())
        {
            return Err(Error::mismatch(format!(
                "{} values do not fill {} volumes of shape {:?}",
                samples.len(),
                scalings.len(),
                grid.shape()
            )));
        }
        let usable =
            |s: &Scaling| s.slope.is_finite() && s.slope.abs() > 0.0 && s.intercept.is_finite();
        if let Some(k) = scalings.iter().position(|s| !usable(s)) {
            return Err(Error::value(format!("scaling {:?} of volume {k}", scalings[k])));
        }
        Ok(Self { grid, samples, scalings })
    }

    /// A series of signals in 64-bit, volume after volume.
    ///
    /// # Errors
    ///
    /// As [`Series::new`].
    pub fn from_signals(grid: Grid, signals: Vec<f64>) -> Result<Self> {
        let n_volumes = signals.len() / grid.n_voxels();
        Self::new(grid, Samples::Double(signals), vec![Scaling::IDENTITY; n_volumes])
    }

    /// Several 3-D or 4-D series on one grid, one after the other.
    ///
    /// # Errors
    ///
    /// `Mismatch` when there is none or the grids differ.
    pub fn concatenate(parts: Vec<Self>) -> Result<Self> {
        let grid = match parts.first() {
            Some(first) => first.grid,
            None => return Err(Error::mismatch("no volume to put into a series")),
        };
        for part in &parts {
            grid.require_same(&part.grid)?;
        }
        let scalings = parts.iter().flat_map(|part| part.scalings.iter().copied()).collect();
        let single = parts.iter().all(|part| matches!(part.samples, Samples::Single(_)));
        let samples = if single {
            Samples::Single(parts.into_iter().flat_map(Self::into_single).collect())
        } else {
            Samples::Double(parts.iter().flat_map(Self::stored_values).collect())
        };
        Self::new(grid, samples, scalings)
    }

    fn into_single(self) -> Vec<f32> {
        match self.samples {
            Samples::Single(values) => values,
            Samples::Double(_) => Vec::new(),
        }
    }

    fn stored_values(&self) -> Vec<f64> {
        (0..self.samples.len()).map(|index| self.samples.get(index)).collect()
    }

    /// Where the voxels are.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Number of volumes, the samples of one voxel.
    pub fn n_volumes(&self) -> usize {
        self.scalings.len()
    }

    /// Scaling of every volume.
    pub fn scalings(&self) -> &[Scaling] {
        &self.scalings
    }

    /// Stored values before scaling.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Signal of `voxel` (linear index) in `volume`.
    pub fn signal(&self, voxel: usize, volume: usize) -> f64 {
        self.scalings[volume].apply(self.samples.get(volume * self.grid.n_voxels() + voxel))
    }

    /// Writes the signals of `voxel` (linear index) into `signals`, shape `[n_volumes]`.
    pub fn signals_into(&self, voxel: usize, signals: &mut [f64]) {
        debug_assert_eq!(signals.len(), self.n_volumes());
        for (volume, signal) in signals.iter_mut().enumerate() {
            *signal = self.signal(voxel, volume);
        }
    }

    /// Writes the signals of `voxels` (linear indices, rising) into `lanes`, shape
    /// `[n_volumes, voxels.len()]`.
    pub fn lanes_into(&self, voxels: &[usize], lanes: &mut [f64]) {
        debug_assert_eq!(lanes.len(), self.n_volumes() * voxels.len());
        if voxels.is_empty() {
            return;
        }
        let mut runs = Runs::default();
        runs.set(voxels);
        for (volume, row) in lanes.chunks_exact_mut(voxels.len()).enumerate() {
            self.lanes_of_runs_into(volume, &runs, row);
        }
    }

    /// Writes the signals of the voxels of `runs` in one volume into `lanes`, shape `[n_lanes]`.
    pub fn lanes_of_runs_into(&self, volume: usize, runs: &Runs, lanes: &mut [f64]) {
        debug_assert_eq!(lanes.len(), runs.n_lanes());
        let n_voxels = self.grid.n_voxels();
        let stored = volume * n_voxels..(volume + 1) * n_voxels;
        let scaling = self.scalings[volume];
        match &self.samples {
            Samples::Single(values) => runs.single(&values[stored], scaling, lanes),
            Samples::Double(values) => runs.double(&values[stored], scaling, lanes),
        }
    }

    /// All signals, volume after volume, where they are kept in 32-bit and need no scaling.
    pub fn stored_signals(&self) -> Option<&[f32]> {
        let unscaled = self.scalings.iter().all(|scaling| *scaling == Scaling::IDENTITY);
        match &self.samples {
            Samples::Single(values) if unscaled => Some(values),
            _ => None,
        }
    }

    /// One volume as signals in 64-bit.
    pub fn volume(&self, volume: usize) -> Volume<f64> {
        Volume::from_fn(self.grid, |voxel| self.signal(voxel, volume))
    }

    /// The volumes named by `order`, in that order, for example sorted by echo time.
    ///
    /// # Errors
    ///
    /// `Mismatch` when `order` names a volume that is not there or names none.
    pub fn select(&self, order: &[usize]) -> Result<Self> {
        if let Some(volume) = order.iter().find(|&&volume| volume >= self.n_volumes()) {
            return Err(Error::mismatch(format!("volume {volume} of {}", self.n_volumes())));
        }
        let n = self.grid.n_voxels();
        let samples = match &self.samples {
            Samples::Single(v) => Samples::Single(
                order.iter().flat_map(|&k| &v[k * n..(k + 1) * n]).copied().collect(),
            ),
            Samples::Double(v) => Samples::Double(
                order.iter().flat_map(|&k| &v[k * n..(k + 1) * n]).copied().collect(),
            ),
        };
        Self::new(self.grid, samples, order.iter().map(|&k| self.scalings[k]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Affine;

    fn grid() -> Grid {
        Grid::new([2, 1, 1], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap()
    }

    fn echo(values: [f32; 2], slope: f64) -> Series {
        let scaling = Scaling { slope, intercept: 1.0 };
        Series::new(grid(), Samples::Single(values.to_vec()), vec![scaling]).unwrap()
    }

    #[test]
    fn each_volume_keeps_its_own_scaling() {
        let series =
            Series::concatenate(vec![echo([1.0, 2.0], 10.0), echo([3.0, 4.0], 0.1)]).unwrap();
        let mut signals = [0.0; 2];
        series.signals_into(1, &mut signals);
        assert_eq!(signals.map(f64::to_bits), [21.0, 4.0 * 0.1 + 1.0].map(f64::to_bits));
        let reversed = series.select(&[1, 0]).unwrap();
        assert!((reversed.signal(1, 1) - 21.0).abs() < 1e-12);
    }

    #[test]
    fn lanes_are_the_signals_of_their_voxels() {
        let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
        let grid = Grid::new([7, 1, 1], affine).unwrap();
        let values: Vec<f32> = (0..14_u8).map(f32::from).collect();
        let scalings = [0.3, 7.0].map(|slope| Scaling { slope, intercept: 0.1 });
        let series = Series::new(grid, Samples::Single(values), scalings.to_vec()).unwrap();
        for voxels in [vec![0, 1, 2, 5], vec![6], vec![1, 3, 5], vec![]] {
            let mut lanes = vec![f64::NAN; 2 * voxels.len()];
            series.lanes_into(&voxels, &mut lanes);
            for (index, lane) in lanes.iter().enumerate() {
                let (volume, place) = (index / voxels.len(), index % voxels.len());
                assert_eq!(lane.to_bits(), series.signal(voxels[place], volume).to_bits());
            }
        }
    }

    #[test]
    fn unusable_scalings_and_sizes_are_refused() {
        let scaling = Scaling { slope: 0.0, intercept: 0.0 };
        assert!(Series::new(grid(), Samples::Single(vec![0.0; 2]), vec![scaling]).is_err());
        assert!(Series::from_signals(grid(), vec![0.0; 3]).is_err());
        assert!(Series::concatenate(Vec::new()).is_err());
        assert!(echo([1.0, 2.0], 1.0).select(&[1]).is_err());
    }

    #[test]
    fn one_volume_in_double_makes_the_whole_series_double() {
        let exact = 0.1;
        let other = Series::from_signals(grid(), vec![exact; 2]).unwrap();
        let series = Series::concatenate(vec![echo([1.0, 2.0], 1.0), other]).unwrap();
        assert_eq!(series.signal(0, 1).to_bits(), exact.to_bits());
    }
}
