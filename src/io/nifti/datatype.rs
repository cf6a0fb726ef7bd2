//! How one voxel is stored, and stored bytes into numbers.

use ::nifti::{Endianness, NiftiHeader, NiftiType};

use crate::error::{Error, Result};
use crate::image::{Samples, Scaling};

/// Largest whole number up to which 64-bit floating point holds every whole number.
const EXACT_LIMIT: u64 = 1 << 53;

/// A numeric voxel type that this program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datatype {
    /// 8-bit unsigned integer.
    Uint8,
    /// 8-bit signed integer.
    Int8,
    /// 16-bit unsigned integer.
    Uint16,
    /// 16-bit signed integer.
    Int16,
    /// 32-bit unsigned integer.
    Uint32,
    /// 32-bit signed integer.
    Int32,
    /// 64-bit unsigned integer.
    Uint64,
    /// 64-bit signed integer.
    Int64,
    /// 32-bit floating point.
    Float32,
    /// 64-bit floating point.
    Float64,
}

impl Datatype {
    /// The type with this NIfTI `datatype` code whose `bitpix` agrees.
    pub(super) fn from_codes(datatype: i16, bitpix: i16) -> Result<Self> {
        let kind = Self::from_code(datatype)?;
        let bits = 8 * kind.n_bytes();
        if usize::try_from(bitpix) == Ok(bits) {
            return Ok(kind);
        }
        Err(Error::format(format!(
            "{bitpix} is not the {bits} bits of `datatype` {datatype} ({})",
            kind.name()
        ))
        .at_field("bitpix")
        .hint("one of the two fields is wrong; write the file again with the tool that made it"))
    }

    fn from_code(datatype: i16) -> Result<Self> {
        let stored = NiftiHeader { datatype, ..NiftiHeader::default() }.data_type();
        let unreadable = match stored {
            Ok(NiftiType::Uint8) => return Ok(Self::Uint8),
            Ok(NiftiType::Int8) => return Ok(Self::Int8),
            Ok(NiftiType::Uint16) => return Ok(Self::Uint16),
            Ok(NiftiType::Int16) => return Ok(Self::Int16),
            Ok(NiftiType::Uint32) => return Ok(Self::Uint32),
            Ok(NiftiType::Int32) => return Ok(Self::Int32),
            Ok(NiftiType::Uint64) => return Ok(Self::Uint64),
            Ok(NiftiType::Int64) => return Ok(Self::Int64),
            Ok(NiftiType::Float32) => return Ok(Self::Float32),
            Ok(NiftiType::Float64) => return Ok(Self::Float64),
            Ok(NiftiType::Float128) => "float128",
            Ok(NiftiType::Complex64) => "complex64",
            Ok(NiftiType::Complex128) => "complex128",
            Ok(NiftiType::Complex256) => "complex256",
            Ok(NiftiType::Rgb24) => "RGB24",
            Ok(NiftiType::Rgba32) => "RGBA32",
            Err(_) => "unknown",
        };
        Err(Error::format(format!("{datatype} ({unreadable}) is not a real number per voxel"))
            .at_field("datatype")
            .hint("int8 to int64, uint8 to uint64, float32 and float64 are read; convert the file"))
    }

    /// The code of the `datatype` field.
    pub(super) fn code(self) -> i16 {
        let kind = match self {
            Self::Uint8 => NiftiType::Uint8,
            Self::Int8 => NiftiType::Int8,
            Self::Uint16 => NiftiType::Uint16,
            Self::Int16 => NiftiType::Int16,
            Self::Uint32 => NiftiType::Uint32,
            Self::Int32 => NiftiType::Int32,
            Self::Uint64 => NiftiType::Uint64,
            Self::Int64 => NiftiType::Int64,
            Self::Float32 => NiftiType::Float32,
            Self::Float64 => NiftiType::Float64,
        };
        kind as i16
    }

    /// Bytes of one voxel.
    pub fn n_bytes(self) -> usize {
        match self {
            Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 => 2,
            Self::Uint32 | Self::Int32 | Self::Float32 => 4,
            Self::Uint64 | Self::Int64 | Self::Float64 => 8,
        }
    }

    /// Whether every stored value is a whole number.
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::Float32 | Self::Float64)
    }

    /// Name as numpy spells it, such as `int16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Uint16 => "uint16",
            Self::Int16 => "int16",
            Self::Uint32 => "uint32",
            Self::Int32 => "int32",
            Self::Uint64 => "uint64",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }
}

/// Stored values and how many of them even 64-bit floating point had to round.
pub(super) struct Decoded {
    pub(super) samples: Samples,
    pub(super) n_rounded: usize,
}

/// Turns stored bytes, a whole number of voxels in `order`, into samples.
pub(super) fn decode(datatype: Datatype, order: Endianness, bytes: &[u8]) -> Decoded {
    macro_rules! values {
        ($type:ty) => {
            bytes.as_chunks::<{ size_of::<$type>() }>().0.iter().map(move |&chunk| match order {
                Endianness::Little => <$type>::from_le_bytes(chunk),
                Endianness::Big => <$type>::from_be_bytes(chunk),
            })
        };
    }
    match datatype {
        Datatype::Uint8 => single(values!(u8).map(f32::from)),
        Datatype::Int8 => single(values!(i8).map(f32::from)),
        Datatype::Uint16 => single(values!(u16).map(f32::from)),
        Datatype::Int16 => single(values!(i16).map(f32::from)),
        Datatype::Float32 => single(values!(f32)),
        Datatype::Uint32 => narrowest(values!(u32).map(f64::from)),
        Datatype::Int32 => narrowest(values!(i32).map(f64::from)),
        Datatype::Float64 => narrowest(values!(f64)),
        Datatype::Uint64 => {
            let n_rounded = count_rounded(datatype, order, bytes);
            Decoded { n_rounded, ..narrowest(values!(u64).map(|value| value as f64)) }
        }
        Datatype::Int64 => {
            let n_rounded = count_rounded(datatype, order, bytes);
            Decoded { n_rounded, ..narrowest(values!(i64).map(|value| value as f64)) }
        }
    }
}

/// Writes the signals of stored bytes, as many as `signals` takes, after `scaling` in 64-bit.
///
/// The same numbers as [`decode`] followed by the scaling.
#[inline(always)]
pub(super) fn signals_into(
    (datatype, order): (Datatype, Endianness),
    scaling: Scaling,
    bytes: &[u8],
    signals: &mut [f64],
) {
    macro_rules! scaled {
        ($type:ty) => {{
            let (stored, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
            let signals = signals.iter_mut().zip(stored);
            match order {
                Endianness::Little => signals.for_each(|(signal, &stored)| {
                    *signal = scaling.apply(<$type>::from_le_bytes(stored) as f64);
                }),
                Endianness::Big => signals.for_each(|(signal, &stored)| {
                    *signal = scaling.apply(<$type>::from_be_bytes(stored) as f64);
                }),
            }
        }};
    }
    #[expect(clippy::cast_lossless, reason = "one macro for all types")]
    match datatype {
        Datatype::Uint8 => scaled!(u8),
        Datatype::Int8 => scaled!(i8),
        Datatype::Uint16 => scaled!(u16),
        Datatype::Int16 => scaled!(i16),
        Datatype::Uint32 => scaled!(u32),
        Datatype::Int32 => scaled!(i32),
        Datatype::Uint64 => scaled!(u64),
        Datatype::Int64 => scaled!(i64),
        Datatype::Float32 => scaled!(f32),
        Datatype::Float64 => scaled!(f64),
    }
}

/// How many stored values even 64-bit floating point has to round.
pub(super) fn count_rounded(datatype: Datatype, order: Endianness, bytes: &[u8]) -> usize {
    if !matches!(datatype, Datatype::Uint64 | Datatype::Int64) {
        return 0;
    }
    let is_signed = datatype == Datatype::Int64;
    let stored = bytes.as_chunks::<8>().0.iter().map(|&chunk| match order {
        Endianness::Little => u64::from_le_bytes(chunk),
        Endianness::Big => u64::from_be_bytes(chunk),
    });
    let magnitude = |value: u64| if is_signed { value.cast_signed().unsigned_abs() } else { value };
    stored.filter(|&value| !is_exact(magnitude(value))).count()
}

fn single(values: impl Iterator<Item = f32>) -> Decoded {
    Decoded { samples: Samples::Single(values.collect()), n_rounded: 0 }
}

/// Single precision where it loses nothing, else double.
#[expect(clippy::float_cmp, reason = "the question is whether the value survives bit for bit")]
fn narrowest(values: impl Iterator<Item = f64> + Clone) -> Decoded {
    let survives = |value: f64| value.is_nan() || f64::from(value as f32) == value;
    let samples = if values.clone().all(survives) {
        Samples::Single(values.map(|value| value as f32).collect())
    } else {
        Samples::Double(values.collect())
    };
    Decoded { samples, n_rounded: 0 }
}

/// Whether 64-bit floating point holds this whole number.
fn is_exact(magnitude: u64) -> bool {
    magnitude <= EXACT_LIMIT
        || 64 - magnitude.leading_zeros() - magnitude.trailing_zeros() <= f64::MANTISSA_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_single_only_where_nothing_is_lost() {
        let bytes: Vec<u8> = [16_777_216_i32, -7].iter().flat_map(|v| v.to_le_bytes()).collect();
        let decoded = decode(Datatype::Int32, Endianness::Little, &bytes);
        assert_eq!(decoded.samples, Samples::Single(vec![16_777_216.0, -7.0]));
        let bytes: Vec<u8> = [16_777_217_i32, -7].iter().flat_map(|v| v.to_be_bytes()).collect();
        let decoded = decode(Datatype::Int32, Endianness::Big, &bytes);
        assert_eq!(decoded.samples, Samples::Double(vec![16_777_217.0, -7.0]));
    }

    #[test]
    fn whole_numbers_beyond_double_precision_are_counted() {
        let values = [u64::MAX, 1 << 63, (1 << 53) + 1, 1 << 53, 3 << 60];
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(Datatype::Uint64, Endianness::Little, &bytes).n_rounded, 2);
        let bytes: Vec<u8> =
            [i64::MIN, i64::MAX, -1].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(decode(Datatype::Int64, Endianness::Little, &bytes).n_rounded, 1);
    }

    #[test]
    fn not_a_number_does_not_force_double_precision() {
        let bytes: Vec<u8> = [f64::NAN, 0.5].iter().flat_map(|v| v.to_le_bytes()).collect();
        let decoded = decode(Datatype::Float64, Endianness::Little, &bytes);
        assert!(matches!(decoded.samples, Samples::Single(values) if values[0].is_nan()));
    }
}
