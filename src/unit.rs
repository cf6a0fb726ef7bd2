//! Units of measure: what stands in files, and what stands on a page.
//!
//! Code and files hold seconds, millimetres, mm²/s and mM·s; pages show ms and 10⁻³ mm²/s.

/// The unit of a parameter as stored in maps and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Seconds.
    Second,
    /// One over seconds.
    PerSecond,
    /// Square millimetres per second.
    SquareMillimetrePerSecond,
    /// Millimolar seconds.
    MillimolarSecond,
    /// Millimolar.
    Millimolar,
    /// Millimetres.
    Millimetre,
    /// Scanner signal, arbitrary.
    Arbitrary,
    /// A pure number.
    One,
}

impl Unit {
    /// Symbol as BIDS sidecars and the `units` column write it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::PerSecond => "1/s",
            Self::SquareMillimetrePerSecond => "mm^2/s",
            Self::MillimolarSecond => "mmol/L*s",
            Self::Millimolar => "mmol/L",
            Self::Millimetre => "mm",
            Self::Arbitrary => "arbitrary",
            Self::One => "1",
        }
    }

    /// Symbol on a page, matching [`Unit::page_factor`].
    pub fn page_symbol(self) -> &'static str {
        match self {
            Self::Second => "ms",
            Self::SquareMillimetrePerSecond => "10⁻³ mm²/s",
            Self::MillimolarSecond => "mM·s",
            Self::Millimolar => "mM",
            Self::Arbitrary => "a.u.",
            Self::One => "",
            Self::PerSecond | Self::Millimetre => self.symbol(),
        }
    }

    /// Stored value × this = value on a page.
    pub fn page_factor(self) -> f64 {
        match self {
            Self::Second | Self::SquareMillimetrePerSecond => 1e3,
            _ => 1.0,
        }
    }
}

/// Milliseconds to seconds, rounded to the nearest double of the decimal quotient.
pub fn seconds_from_ms(milliseconds: f64) -> f64 {
    milliseconds / 1e3
}

/// Degrees to radians.
pub fn radians_from_degrees(degrees: f64) -> f64 {
    degrees.to_radians()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_become_the_nearest_double_of_seconds() {
        assert_eq!(seconds_from_ms(10.0).to_bits(), 0.01_f64.to_bits());
        assert_eq!(seconds_from_ms(6.312).to_bits(), 0.006_312_f64.to_bits());
    }

    #[test]
    fn adc_is_shown_in_thousandths() {
        let unit = Unit::SquareMillimetrePerSecond;
        assert!((0.0012 * unit.page_factor() - 1.2).abs() < 1e-12);
    }
}
