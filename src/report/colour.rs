//! Colour maps that rise evenly in lightness and survive colour blindness and grey print.
//!
//! # Reference
//!
//! Crameri, "Scientific colour maps", doi:10.5281/zenodo.1243862 (MIT licence), sampled at 33
//! points; the linear interpolation is within 3 of 255 of the full tables. Lipari for T1 and Navia
//! for T2 follow Fuderer et al., "Color-map recommendation for MR relaxometry maps",
//! doi:10.1002/mrm.30290. Categories are in the colours of Okabe and Ito, "Color universal design"
//! (<https://jfly.uni-koeln.de/color/>).

/// Which colours a map is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// T1.
    Lipari,
    /// T2.
    Navia,
    /// Everything else.
    Batlow,
}

/// Colour of one category; told apart with any kind of colour vision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swatch {
    /// What is reported.
    Sky,
    /// What is kept but not reported.
    Blue,
    /// A reason for being left out.
    Orange,
    /// Another reason.
    Vermilion,
    /// Another reason.
    Purple,
    /// Another reason.
    Yellow,
    /// Another reason.
    Green,
    /// What has no value.
    Black,
}

impl Swatch {
    /// Red, green and blue.
    pub fn colour(self) -> [u8; 3] {
        match self {
            Self::Sky => [86, 180, 233],
            Self::Blue => [0, 114, 178],
            Self::Orange => [230, 159, 0],
            Self::Vermilion => [213, 94, 0],
            Self::Purple => [204, 121, 167],
            Self::Yellow => [240, 228, 66],
            Self::Green => [0, 158, 115],
            Self::Black => [0, 0, 0],
        }
    }
}

type Stops = [[u8; 3]; 33];

#[rustfmt::skip]
const LIPARI: Stops = [
    [3, 19, 38], [6, 29, 53], [9, 40, 68], [14, 51, 83], [24, 62, 97], [37, 72, 109],
    [54, 81, 118], [69, 88, 122], [82, 91, 122], [92, 93, 121], [101, 94, 119], [110, 95, 117],
    [120, 95, 114], [130, 96, 112], [141, 97, 109], [152, 97, 106], [165, 98, 103], [178, 99, 100],
    [191, 101, 97], [205, 104, 95], [218, 111, 94], [227, 120, 97], [233, 132, 102],
    [234, 144, 109], [233, 155, 116], [231, 165, 123], [229, 175, 132], [229, 185, 142],
    [231, 196, 154], [235, 208, 169], [241, 221, 185], [247, 233, 203], [253, 245, 218],
];

#[rustfmt::skip]
const NAVIA: Stops = [
    [3, 19, 39], [5, 28, 54], [5, 37, 70], [6, 47, 86], [7, 57, 102], [10, 67, 116],
    [14, 77, 129], [20, 87, 138], [27, 96, 143], [32, 104, 145], [38, 111, 144], [42, 116, 142],
    [47, 121, 139], [51, 125, 137], [55, 129, 134], [60, 134, 131], [65, 138, 128], [71, 143, 125],
    [76, 149, 121], [83, 155, 117], [90, 161, 113], [99, 169, 109], [109, 177, 105],
    [121, 186, 104], [137, 195, 106], [156, 205, 114], [177, 214, 127], [195, 221, 144],
    [211, 227, 161], [224, 232, 178], [235, 237, 193], [245, 241, 207], [252, 244, 217],
];

#[rustfmt::skip]
const BATLOW: Stops = [
    [1, 25, 89], [8, 37, 91], [13, 49, 93], [15, 59, 95], [17, 67, 96], [19, 75, 97],
    [23, 82, 98], [27, 89, 98], [34, 96, 97], [43, 101, 94], [53, 106, 89], [65, 111, 83],
    [77, 115, 77], [90, 119, 69], [103, 123, 62], [116, 126, 56], [130, 130, 49], [145, 134, 45],
    [161, 138, 43], [177, 141, 47], [192, 144, 54], [207, 147, 64], [221, 149, 77], [233, 153, 92],
    [242, 157, 109], [249, 163, 128], [252, 169, 147], [253, 175, 165], [253, 180, 182],
    [253, 186, 199], [252, 192, 216], [251, 198, 234], [250, 204, 250],
];

impl Palette {
    fn stops(self) -> &'static Stops {
        match self {
            Self::Lipari => &LIPARI,
            Self::Navia => &NAVIA,
            Self::Batlow => &BATLOW,
        }
    }

    /// Colour at `fraction` of the bar, clamped to 0–1; black, the darkest, where not finite.
    pub fn colour(self, fraction: f64) -> [u8; 3] {
        if !fraction.is_finite() {
            return [0, 0, 0];
        }
        let stops = self.stops();
        let place = fraction.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let low = (place as usize).min(stops.len() - 2);
        let weight = place - low as f64;
        [0, 1, 2].map(|channel| {
            let (a, b) = (f64::from(stops[low][channel]), f64::from(stops[low + 1][channel]));
            (a + weight * (b - a)).round() as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lightness_rises_along_every_palette() {
        let lightness =
            |[r, g, b]: [u8; 3]| 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
        for palette in [Palette::Lipari, Palette::Navia, Palette::Batlow] {
            let bar: Vec<f64> =
                (0..=20).map(|i| lightness(palette.colour(f64::from(i) / 20.0))).collect();
            assert!(bar.windows(2).all(|pair| pair[0] < pair[1]), "{palette:?}: {bar:?}");
        }
    }

    #[test]
    fn what_is_invalid_is_darkest_and_ends_are_kept() {
        assert_eq!(Palette::Navia.colour(f64::NAN), [0, 0, 0]);
        assert_eq!(Palette::Navia.colour(f64::INFINITY), [0, 0, 0]);
        assert_eq!(Palette::Navia.colour(-1.0), NAVIA[0]);
        assert_eq!(Palette::Navia.colour(7.0), NAVIA[32]);
    }
}
