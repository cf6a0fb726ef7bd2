//! Exponentials at multiples of one step: with x = e^(−rate·step) every sample is a power of x, and
//! no sample needs an exponential function. δ is the change of ln x.

use fearless_simd::{Simd, f64x8};

use super::curve::{LaneCurve, Table};
use crate::solver::elementary::Elementary;

/// Largest power: beyond it rounding of x would be felt.
const POWER_MAX: u32 = 64;
/// Different powers that may be kept at hand, 1 and x among them.
const REGISTERS: usize = 8;

/// A chain of multiplications from x to all powers, in one precision.
///
/// `N` is the number of registers: 1 where neighbouring samples are one step apart.
#[derive(Debug, Clone)]
pub(super) struct Chain<T, const N: usize> {
    /// Power of each sample, rising.
    powers: Vec<T>,
    /// Register that leads from the sample before to this one.
    links: Vec<usize>,
    /// Registers 2, 3, … as products of two earlier ones.
    products: Vec<[usize; 2]>,
}

/// Samples at powers of x.
#[derive(Debug, Clone)]
pub(super) struct Powers<const N: usize> {
    single: Chain<f32, N>,
    double: Chain<f64, N>,
    order: Vec<usize>,
    step: f64,
    origin: f64,
}

/// One step between neighbours.
pub(super) type Uniform = Powers<1>;
/// Any powers within reach of the registers.
pub(super) type Mixed = Powers<REGISTERS>;

/// The powers of a set of abscissae, before the chain is known.
pub(super) struct Ladder {
    order: Vec<usize>,
    powers: Vec<u32>,
    step: f64,
    origin: f64,
}

impl Ladder {
    /// The largest step that divides all distances between `abscissae`; `None` where it is none or
    /// too small.
    pub(super) fn new(abscissae: &[f64]) -> Option<Self> {
        let mut order: Vec<usize> = (0..abscissae.len()).collect();
        order.sort_by(|&a, &b| abscissae[a].total_cmp(&abscissae[b]));
        let origin = abscissae[order[0]];
        let last = abscissae[*order.last()?];
        let slack = 16.0 * f64::EPSILON * last.abs().max(origin.abs());
        let distances: Vec<f64> = order.iter().map(|&k| abscissae[k] - origin).collect();
        let coarse = distances.iter().fold(0.0, |step, &x| common_step(step, x, 1e-6 * last));
        let largest = (last - origin) / coarse;
        if !(largest.is_finite() && largest.round() <= f64::from(POWER_MAX) && largest > 0.5) {
            return None;
        }
        let step = (last - origin) / largest.round();
        let powers: Vec<u32> = distances.iter().map(|x| (x / step).round() as u32).collect();
        let exact =
            distances.iter().zip(&powers).all(|(x, &n)| (x - step * f64::from(n)).abs() <= slack);
        exact.then_some(Self { order, powers, step, origin })
    }

    /// Where every power is one above the one before.
    pub(super) fn uniform(&self) -> Option<Uniform> {
        let uniform = self.powers.iter().enumerate().all(|(k, &n)| n as usize == k);
        let links = vec![0; self.powers.len()];
        uniform.then(|| self.with_chain(&links, &[]))
    }

    /// Where few products reach every gap between neighbours.
    pub(super) fn mixed(&self) -> Option<Mixed> {
        let mut known = vec![0, 1];
        let mut products = Vec::new();
        let gap = |k: usize| if k == 0 { 0 } else { self.powers[k] - self.powers[k - 1] };
        let mut gaps: Vec<u32> = (0..self.powers.len()).map(gap).collect();
        gaps.sort_unstable();
        for &gap in &gaps {
            reach(gap, &mut known, &mut products);
        }
        if known.len() > REGISTERS {
            return None;
        }
        let register = |n: u32| known.iter().position(|&own| own == n);
        let links: Option<Vec<usize>> = (0..self.powers.len()).map(|k| register(gap(k))).collect();
        Some(self.with_chain(&links?, &products))
    }

    fn with_chain<const N: usize>(&self, links: &[usize], products: &[[usize; 2]]) -> Powers<N> {
        let (links, products) = (links.to_vec(), products.to_vec());
        let single = self.powers.iter().map(|&n| n as f32).collect();
        let double = self.powers.iter().map(|&n| f64::from(n)).collect();
        Powers {
            single: Chain { powers: single, links: links.clone(), products: products.clone() },
            double: Chain { powers: double, links, products },
            order: self.order.clone(),
            step: self.step,
            origin: self.origin,
        }
    }
}

/// Euclid's algorithm on lengths that are known to `slack`.
fn common_step(a: f64, b: f64, slack: f64) -> f64 {
    let (mut a, mut b) = (a.max(b), a.min(b));
    while b > slack {
        let rest = a - b * (a / b).round();
        (a, b) = (b, rest.abs());
    }
    a
}

/// Appends the products that make `power` from the `known` ones.
fn reach(power: u32, known: &mut Vec<u32>, products: &mut Vec<[usize; 2]>) {
    if known.contains(&power) {
        return;
    }
    let pair = |known: &[u32]| {
        (1..known.len()).rev().find_map(|i| {
            let other = power.checked_sub(known[i])?;
            known.iter().position(|&own| own == other).map(|j| [i, j])
        })
    };
    if pair(known).is_none() {
        let largest = known.iter().copied().filter(|&own| own < power).max().unwrap_or(1);
        reach((power - largest).min(2 * largest), known, products);
        if pair(known).is_none() {
            reach(power / 2, known, products);
            reach(power - power / 2, known, products);
        }
    }
    if let Some(product) = pair(known) {
        known.push(power);
        products.push(product);
    }
}

/// The registers and the power of the sample before.
#[derive(Clone, Copy)]
pub(super) struct Running<V: Copy, const N: usize> {
    registers: [V; N],
    value: V,
}

impl<T: Copy, const N: usize> Table<T> for Chain<T, N> {
    type State<V: Copy> = Running<V, N>;
    const EXPONENTIAL: bool = true;
    const FIRST_IS_ONE: bool = true;
    const THIRD: f64 = 1.0;

    #[inline(always)]
    fn begin<S: Simd, V: Elementary<S, Element = T>>(&self, simd: S, z: V) -> Running<V, N> {
        let one = V::of(simd, 1.0);
        if N == 1 {
            return Running { registers: [z; N], value: one };
        }
        let mut registers = [one; N];
        registers[1] = z;
        for (i, &[a, b]) in self.products.iter().enumerate() {
            registers[i + 2] = registers[a] * registers[b];
        }
        Running { registers, value: one }
    }

    #[inline(always)]
    fn value<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        k: usize,
        state: &mut Running<V, N>,
    ) -> V {
        let link = if N == 1 { 0 } else { self.links[k] };
        state.value *= state.registers[link];
        state.value
    }

    #[inline(always)]
    fn sample<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        k: usize,
        state: &mut Running<V, N>,
    ) -> [V; 3] {
        let f = self.value(k, state);
        let first = f * self.powers[k];
        [f, first, first * self.powers[k]]
    }

    #[inline(always)]
    fn sample_with_third<S: Simd, V: Elementary<S, Element = T>>(
        &self,
        k: usize,
        state: &mut Running<V, N>,
    ) -> [V; 4] {
        let [f, first, second] = self.sample(k, state);
        [f, first, second, second * self.powers[k]]
    }

    #[inline(always)]
    fn advance<S: Simd, V: Elementary<S, Element = T>>(z: V, delta: V) -> V {
        let [sixth, half] = [1.0 / 6.0, 0.5].map(|value| V::of(z.token(), value));
        let square = delta * delta;
        z.mul_add(square.mul_add(delta.mul_add(sixth, half), delta), z)
    }
}

impl<const N: usize> LaneCurve for Powers<N> {
    type Single = Chain<f32, N>;
    type Double = Chain<f64, N>;

    #[inline(always)]
    fn single(&self) -> &Chain<f32, N> {
        &self.single
    }

    #[inline(always)]
    fn double(&self) -> &Chain<f64, N> {
        &self.double
    }

    #[inline(always)]
    fn order(&self) -> &[usize] {
        &self.order
    }

    fn coordinate(&self, rate: f64) -> f64 {
        (-rate * self.step).exp()
    }

    fn falls(&self) -> bool {
        true
    }

    fn step_max(&self) -> f64 {
        0.8
    }

    #[inline(always)]
    fn rate<S: Simd>(&self, z: f64x8<S>) -> [f64x8<S>; 2] {
        let per_step = -1.0 / self.step;
        [Elementary::ln(z) * per_step, z.simd.splat_f64x8(per_step)]
    }

    #[inline(always)]
    fn origin(&self) -> f64 {
        self.origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn powers(abscissae: &[f64]) -> Option<(Vec<u32>, f64)> {
        Ladder::new(abscissae).map(|ladder| (ladder.powers, ladder.step))
    }

    #[test]
    fn the_largest_common_step_is_found() {
        let (n, step) = powers(&[0.01, 0.02, 0.03, 0.04, 0.05, 0.06]).unwrap();
        assert_eq!(n, [0, 1, 2, 3, 4, 5]);
        assert!((step - 0.01).abs() < 1e-17);
        let (n, step) = powers(&[1000.0, 0.0, 500.0, 200.0]).unwrap();
        assert_eq!((n.as_slice(), step.to_bits()), ([0, 2, 5, 10].as_slice(), 100.0_f64.to_bits()));
        assert_eq!(powers(&[0.0, 800.0]).unwrap().0, [0, 1]);
        assert_eq!(powers(&[5.0, 0.0, 5.0]).unwrap().0, [0, 1, 1]);
        assert_eq!(powers(&[0.0138, 0.0276, 0.0414]).unwrap().0, [0, 1, 2]);
        assert!(powers(&[0.0, 1.0, 2.0_f64.sqrt()]).is_none());
        assert!(powers(&[0.0, 1.0, 100.0]).is_none());
        assert!(powers(&[3.0, 3.0]).is_none());
    }

    #[test]
    fn chains_reach_every_power() {
        for abscissae in [
            vec![0.0, 200.0, 500.0, 1000.0],
            vec![0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0],
            vec![0.0, 0.0, 700.0, 1000.0, 1000.0, 2000.0],
            vec![0.0, 31.0, 62.0],
            vec![0.0, 1.0, 64.0],
        ] {
            let ladder = Ladder::new(&abscissae).unwrap();
            let Some(mixed) = ladder.mixed() else { continue };
            let mut registers = vec![0, 1];
            for [a, b] in &mixed.double.products {
                registers.push(registers[*a] + registers[*b]);
            }
            let mut power = 0;
            for (link, wanted) in mixed.double.links.iter().zip(&ladder.powers) {
                power += registers[*link];
                assert_eq!(power, *wanted, "{abscissae:?}");
            }
        }
        assert!(Ladder::new(&[0.0, 200.0, 500.0, 1000.0]).unwrap().mixed().is_some());
        assert!(Ladder::new(&[0.0, 1.0, 2.0]).unwrap().uniform().is_some());
        assert!(Ladder::new(&[0.0, 1.0, 3.0]).unwrap().uniform().is_none());
    }
}
