//! The crate `levenberg-marquardt` on decays of one exponential, as a yardstick of our solvers.

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::allocator::{Allocator, Reallocator};
use nalgebra::storage::Owned;
use nalgebra::{Const, DefaultAllocator, DimMax, DimMaximum, DimMin, SMatrix, SVector, U2};

/// One voxel: N samples of amplitude · e^(−rate · abscissa).
struct Decay<const N: usize> {
    abscissae: [f64; N],
    samples: SVector<f64, N>,
    parameters: SVector<f64, 2>,
}

impl<const N: usize> LeastSquaresProblem<f64, Const<N>, U2> for Decay<N> {
    type ResidualStorage = Owned<f64, Const<N>>;
    type JacobianStorage = Owned<f64, Const<N>, U2>;
    type ParameterStorage = Owned<f64, U2>;

    fn set_params(&mut self, parameters: &SVector<f64, 2>) {
        self.parameters = *parameters;
    }

    fn params(&self) -> SVector<f64, 2> {
        self.parameters
    }

    fn residuals(&self) -> Option<SVector<f64, N>> {
        let [amplitude, rate] = [self.parameters.x, self.parameters.y];
        Some(SVector::from_fn(|k, _| {
            amplitude * (-rate * self.abscissae[k]).exp() - self.samples[k]
        }))
    }

    fn jacobian(&self) -> Option<SMatrix<f64, N, 2>> {
        let [amplitude, rate] = [self.parameters.x, self.parameters.y];
        let mut jacobian = SMatrix::zeros();
        for (k, abscissa) in self.abscissae.iter().enumerate() {
            let curve = (-rate * abscissa).exp();
            jacobian[(k, 0)] = curve;
            jacobian[(k, 1)] = -amplitude * abscissa * curve;
        }
        Some(jacobian)
    }
}

/// Amplitude and rate of the straight line through ln S weighted by S².
fn log_linear<const N: usize>(abscissae: &[f64; N], samples: &[f64; N]) -> [f64; 2] {
    let mut sums = [0.0; 5];
    for (x, sample) in abscissae.iter().zip(samples) {
        let (weight, y) = (sample * sample, sample.max(f64::MIN_POSITIVE).ln());
        let terms = [1.0, *x, x * x, y, x * y];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += weight * term;
        }
    }
    let [n, x, xx, y, xy] = sums;
    let slope = (n * xy - x * y) / (n * xx - x * x);
    [((y - slope * x) / n).exp(), -slope]
}

/// Rate of the least-squares fit, from the weighted straight line.
pub fn rate<const N: usize>(abscissae: &[f64; N], samples: &[f64; N]) -> f64
where
    Const<N>: DimMin<U2> + DimMax<U2>,
    DefaultAllocator: Allocator<U2> + Reallocator<f64, Const<N>, U2, DimMaximum<Const<N>, U2>, U2>,
{
    let problem = Decay {
        abscissae: *abscissae,
        samples: SVector::from(*samples),
        parameters: SVector::from(log_linear(abscissae, samples)),
    };
    LevenbergMarquardt::new().minimize(problem).0.parameters.y
}
