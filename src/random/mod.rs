//! Counter-based random numbers: a draw depends on (seed, subject, voxel, replicate) and nothing
//! else, so results are the same for every thread count and every order of work.
//!
//! The generator is Philox4x32 with ten rounds. A [`Stream`] draws one number after the other, its
//! normals from Box–Muller in 64-bit; [`lanes`] draws many replicates of one voxel at once.
//!
//! # Reference
//!
//! Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
//! doi:10.1145/2063384.2063405.

pub mod lanes;

pub use lanes::{LaneStream, Spread};

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// The ten-round Philox4x32 bijection of `counter` under `key`.
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let [low0, high0] = multiply(MULTIPLIERS[0], counter[0]);
        let [low1, high1] = multiply(MULTIPLIERS[1], counter[2]);
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
    }
    counter
}

fn multiply(a: u32, b: u32) -> [u32; 2] {
    let product = u64::from(a) * u64::from(b);
    [(product & 0xFFFF_FFFF) as u32, (product >> 32) as u32]
}

/// Names all random numbers of one subject under one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamKey([u32; 2]);

impl StreamKey {
    /// The key of `subject` (any text that names it, such as `sub-01/ses-pre/dwi`) under `seed`.
    pub fn new(seed: u64, subject: &str) -> Self {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64 ^ mix(seed);
        for byte in subject.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        let key = mix(hash);
        Self([(key & 0xFFFF_FFFF) as u32, (key >> 32) as u32])
    }

    /// The stream of one pseudo-experiment `replicate` in one `voxel` (linear index in its grid).
    pub fn stream(self, voxel: usize, replicate: u32) -> Stream {
        let voxel = voxel as u64;
        let low = (voxel & 0xFFFF_FFFF) as u32;
        let high = (voxel >> 32) as u32;
        Stream {
            key: self.0,
            counter: [0, replicate, low, high],
            block: [0; 4],
            used: 4,
            spare: None,
        }
    }
}

/// `SplitMix64` finaliser: spreads neighbouring seeds over the whole key space.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A reproducible sequence of draws.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
    spare: Option<f64>,
}

impl Stream {
    /// 32 uniform random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox4x32(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Uniform on the open interval (0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        let high = u64::from(self.next_u32() >> 5);
        let low = u64::from(self.next_u32() >> 6);
        ((high << 26 | low) as f64 + 0.5) / 9_007_199_254_740_992.0
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }

    /// Uniform integer in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((self.uniform() * bound as f64) as usize).min(bound.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of Random123 1.14.0 (`kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_published_known_answers() {
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn a_stream_depends_on_every_part_of_its_name() {
        let first = |seed, subject, voxel, replicate| {
            StreamKey::new(seed, subject).stream(voxel, replicate).next_u32()
        };
        let reference = first(1, "sub-01", 5, 7);
        assert_eq!(reference, first(1, "sub-01", 5, 7));
        assert_ne!(reference, first(2, "sub-01", 5, 7));
        assert_ne!(reference, first(1, "sub-02", 5, 7));
        assert_ne!(reference, first(1, "sub-01", 6, 7));
        assert_ne!(reference, first(1, "sub-01", 5, 8));
    }

    #[test]
    fn normals_have_the_moments_and_tails_of_the_standard_normal() {
        let n = 200_000_u32;
        let key = StreamKey::new(20, "moments");
        let mut sums = [0.0; 4];
        let mut beyond_two = 0_u32;
        for voxel in 0..n as usize {
            let x = key.stream(voxel, 0).normal();
            for (power, sum) in sums.iter_mut().enumerate() {
                *sum += x.powi(power as i32 + 1);
            }
            beyond_two += u32::from(x.abs() > 2.0);
        }
        let mean = |k: usize| sums[k] / f64::from(n);
        // Five standard errors: 1, √2, √15 and √96 over √n.
        let error = 5.0 / f64::from(n).sqrt();
        assert!(mean(0).abs() < error);
        assert!((mean(1) - 1.0).abs() < 1.42 * error);
        assert!(mean(2).abs() < 3.88 * error);
        assert!((mean(3) - 3.0).abs() < 9.8 * error);
        assert!((f64::from(beyond_two) / f64::from(n) - 0.045_500_3).abs() < 0.21 * error);
    }

    #[test]
    fn uniform_never_reaches_its_ends_and_below_stays_below() {
        let mut stream = StreamKey::new(3, "ends").stream(0, 0);
        for _ in 0..10_000 {
            let u = stream.uniform();
            assert!(0.0 < u && u < 1.0);
            assert!(stream.below(3) < 3);
        }
        assert_eq!(stream.below(0), 0);
    }
}
