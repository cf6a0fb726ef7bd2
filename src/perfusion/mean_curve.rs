//! The mean signal of a volume of interest over time.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::image::{Mask, Series};

/// Mean signal of the voxels of `mask` in every volume of `series`, shape `[n_volumes]`.
///
/// A voxel with any sample that is not finite is left out of every volume, so all frames average
/// the same voxels. The sum runs in the order of the voxels: the same bits for any thread count.
///
/// # Errors
///
/// `Mismatch` when the grids differ; `Value` at `mask` when no voxel with finite samples is inside.
pub fn voi_mean_curve(series: &Series, mask: &Mask) -> Result<Vec<f64>> {
    series.grid().require_same(mask.grid()).map_err(|error| error.at_field("mask"))?;
    let n_volumes = series.n_volumes();
    let is_finite =
        |&&voxel: &&usize| (0..n_volumes).all(|volume| series.signal(voxel, volume).is_finite());
    let voxels: Vec<usize> = mask.indices().iter().filter(is_finite).copied().collect();
    if voxels.is_empty() {
        return Err(Error::value(format!(
            "none of the {} voxels inside has a finite signal in every frame",
            mask.len()
        ))
        .at_field("mask")
        .hint("draw the volume of interest on the dynamic series"));
    }
    let mean = |volume: usize| {
        voxels.iter().map(|&voxel| series.signal(voxel, volume)).sum::<f64>() / voxels.len() as f64
    };
    Ok((0..n_volumes).into_par_iter().map(mean).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Affine, Grid};

    fn grid(n: usize) -> Grid {
        Grid::new([n, 1, 1], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap()).unwrap()
    }

    #[test]
    fn a_voxel_with_a_nan_is_left_out_of_every_frame() {
        let signals = vec![1.0, 3.0, 100.0, 2.0, 6.0, f64::NAN];
        let series = Series::from_signals(grid(3), signals).unwrap();
        let curve = voi_mean_curve(&series, &Mask::full(grid(3))).unwrap();
        assert!((curve[0] - 2.0).abs() < 1e-15 && (curve[1] - 4.0).abs() < 1e-15);
    }

    #[test]
    fn empty_masks_and_foreign_grids_are_refused() {
        let series = Series::from_signals(grid(3), vec![f64::NAN; 6]).unwrap();
        let empty = Mask::from_indices(grid(3), &[]).unwrap();
        assert_eq!(voi_mean_curve(&series, &empty).unwrap_err().field(), Some("mask"));
        assert!(voi_mean_curve(&series, &Mask::full(grid(3))).is_err());
        assert!(voi_mean_curve(&series, &Mask::full(grid(2))).is_err());
    }

    #[test]
    fn the_mean_has_the_same_bits_for_every_thread_count() {
        let n = 1000;
        let signals = (0..n * 5).map(|i| ((i * 7919) % 1009) as f64 * 0.1).collect();
        let series = Series::from_signals(grid(n), signals).unwrap();
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let curve = pool.install(|| voi_mean_curve(&series, &Mask::full(grid(n)))).unwrap();
            curve.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        let one = run(1);
        assert!([2, 3, 8].into_iter().all(|threads| run(threads) == one));
    }
}
