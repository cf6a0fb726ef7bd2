//! The axis of the femoral condyles, and the regions that angles about it make.
//!
//! In the sagittal plane the cartilage of the femur lies about a circle. The angle about its centre
//! tells trochlea, central weight-bearing part and posterior part from each other, and the mean
//! left–right position medial from lateral.
//!
//! # Reference
//!
//! Names: Eckstein et al., "Proposal for a nomenclature for magnetic resonance imaging based measures
//! of articular cartilage in osteoarthritis", Osteoarthritis and Cartilage 14 (2006) 974–983,
//! doi:10.1016/j.joca.2006.03.005.

use crate::error::{Error, Result};
use crate::solver::linear::least_squares;

/// Radii of the fitted circle that a femoral condyle can have.
const CONDYLE_RADII_MM: std::ops::RangeInclusive<f64> = 5.0..=60.0;

/// Angles of the central part, degrees: 0 looks backward, −90 downward, −180 forward.
const CENTRAL_DEG: std::ops::Range<f64> = -105.0..-75.0;

/// A knee this far from the middle of the scanner lies on the side it is called after, mm.
const CLEARLY_BESIDE_MM: f64 = 40.0;

/// Which knee of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The left knee: medial is to the right.
    Left,
    /// The right knee: medial is to the left.
    Right,
}

impl Side {
    /// `left` or `right`; `None` for any other name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "left" => Some(Self::Left),
            "right" => Some(Self::Right),
            _ => None,
        }
    }

    /// The knee whose medial and lateral parts have these mean scanner x (RAS+), mm: in the right knee
    /// lateral is to the right. `None` where they lie within 1 mm of each other, or one is NaN.
    pub fn of_parts(medial_mm: f64, lateral_mm: f64) -> Option<Self> {
        match lateral_mm - medial_mm {
            way if way > 1.0 => Some(Self::Right),
            way if way < -1.0 => Some(Self::Left),
            _ => None,
        }
    }

    /// `left` or `right`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// A region of the femoral cartilage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FemoralRegion {
    /// Medial trochlea.
    MedialTrochlea,
    /// Medial condyle, central weight-bearing part.
    CentralMedial,
    /// Medial condyle, posterior part.
    PosteriorMedial,
    /// Lateral trochlea.
    LateralTrochlea,
    /// Lateral condyle, central weight-bearing part.
    CentralLateral,
    /// Lateral condyle, posterior part.
    PosteriorLateral,
}

impl FemoralRegion {
    /// Every region.
    pub const ALL: [Self; 6] = [
        Self::MedialTrochlea,
        Self::CentralMedial,
        Self::PosteriorMedial,
        Self::LateralTrochlea,
        Self::CentralLateral,
        Self::PosteriorLateral,
    ];

    /// Short name: that of the nomenclature for the condyles; the trochlea, `TrF`, with its half.
    pub fn name(self) -> &'static str {
        match self {
            Self::MedialTrochlea => "mTrF",
            Self::CentralMedial => "cMF",
            Self::PosteriorMedial => "pMF",
            Self::LateralTrochlea => "lTrF",
            Self::CentralLateral => "cLF",
            Self::PosteriorLateral => "pLF",
        }
    }
}

/// Regions under one name of the nomenclature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FemoralPart {
    /// Its name, such as `cMF`.
    pub name: &'static str,
    /// The regions that make it.
    pub regions: &'static [FemoralRegion],
}

/// Every region alone, and the medial and the lateral condyle: central and posterior part, `MF` and
/// `LF`.
pub const FEMORAL_PARTS: [FemoralPart; 8] = {
    use FemoralRegion as R;
    [
        FemoralPart { name: "mTrF", regions: &[R::MedialTrochlea] },
        FemoralPart { name: "cMF", regions: &[R::CentralMedial] },
        FemoralPart { name: "pMF", regions: &[R::PosteriorMedial] },
        FemoralPart { name: "lTrF", regions: &[R::LateralTrochlea] },
        FemoralPart { name: "cLF", regions: &[R::CentralLateral] },
        FemoralPart { name: "pLF", regions: &[R::PosteriorLateral] },
        FemoralPart { name: "MF", regions: &[R::CentralMedial, R::PosteriorMedial] },
        FemoralPart { name: "LF", regions: &[R::CentralLateral, R::PosteriorLateral] },
    ]
};

/// How the cartilage of one femur is divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parcellation {
    side: Side,
    /// Where the axis crosses the sagittal plane: scanner y and z, mm.
    axis_mm: [f64; 2],
    /// Scanner x between the condyles, mm.
    middle_mm: f64,
}

impl Parcellation {
    /// Divides the cartilage at `positions_mm` (scanner, RAS+) of the knee `side`.
    ///
    /// # Errors
    ///
    /// `Value` when there are fewer than three positions, when no circle of a condyle goes through
    /// them, or when they lie clearly on the other side of the scanner than the knee is called after.
    pub fn fit(positions_mm: &[[f64; 3]], side: Side) -> Result<Self> {
        let axis_mm = condyle_axis(positions_mm)?;
        let n = positions_mm.len() as f64;
        let middle_mm = positions_mm.iter().map(|p| p[0]).sum::<f64>() / n;
        let called_mm = if side == Side::Right { middle_mm } else { -middle_mm };
        if called_mm < -CLEARLY_BESIDE_MM {
            let (name, x) = (side.name(), middle_mm);
            let found = if x > 0.0 { "right" } else { "left" };
            return Err(Error::value(format!(
                "the knee is called {name}, but its cartilage lies at x = {x:.0} mm, {found} of the \
                 middle of the scanner"
            ))
            .at_field("side")
            .hint("x rises to the right of the person: check the name of the knee, or the affine"));
        }
        Ok(Self { side, axis_mm, middle_mm })
    }

    /// The knee that is divided.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Distance from the axis, mm.
    pub fn radius_mm(&self, [_, y, z]: [f64; 3]) -> f64 {
        (y - self.axis_mm[0]).hypot(z - self.axis_mm[1])
    }

    /// Angle about the axis, degrees in −270…90: −180 forward, −90 downward, 0 backward.
    pub fn angle_deg(&self, [_, y, z]: [f64; 3]) -> f64 {
        let degrees = (z - self.axis_mm[1]).atan2(self.axis_mm[0] - y).to_degrees();
        if degrees >= 90.0 { degrees - 360.0 } else { degrees }
    }

    /// Way from the middle of the knee to the lateral side, mm; below 0 is medial.
    pub fn lateral_mm(&self, [x, ..]: [f64; 3]) -> f64 {
        if self.side == Side::Right { x - self.middle_mm } else { self.middle_mm - x }
    }

    /// The region that a scanner position lies in.
    pub fn region(&self, position_mm: [f64; 3]) -> FemoralRegion {
        let angle_deg = self.angle_deg(position_mm);
        let is_medial = self.lateral_mm(position_mm) < 0.0;
        match (is_medial, CENTRAL_DEG.contains(&angle_deg), angle_deg < CENTRAL_DEG.start) {
            (true, true, _) => FemoralRegion::CentralMedial,
            (true, false, true) => FemoralRegion::MedialTrochlea,
            (true, false, false) => FemoralRegion::PosteriorMedial,
            (false, true, _) => FemoralRegion::CentralLateral,
            (false, false, true) => FemoralRegion::LateralTrochlea,
            (false, false, false) => FemoralRegion::PosteriorLateral,
        }
    }
}

/// Where the axis of the condyles, which runs along scanner x, crosses the sagittal plane: y and z,
/// mm.
///
/// The circle minimises `Σ (y² + z² + a·y + b·z + c)²` over the positions.
///
/// # Errors
///
/// `Value` when there are fewer than three positions or the circle is none of a condyle.
///
/// # Reference
///
/// Kåsa, "A circle fitting procedure and its error analysis", IEEE Transactions on Instrumentation
/// and Measurement 25 (1976) 8–14, doi:10.1109/TIM.1976.6312298.
pub(super) fn condyle_axis(positions_mm: &[[f64; 3]]) -> Result<[f64; 2]> {
    let points = positions_mm.iter().map(|&[_, y, z]| [y, z]);
    let n = positions_mm.len();
    let mean = [0, 1].map(|axis| points.clone().map(|p| p[axis]).sum::<f64>() / n as f64);
    let centred = points.map(|p| [p[0] - mean[0], p[1] - mean[1]]);
    let design: Vec<f64> = centred.clone().flat_map(|[y, z]| [y, z, 1.0]).collect();
    let squares: Vec<f64> = centred.map(|[y, z]| y * y + z * z).collect();
    if n < 3 {
        return Err(Error::value(format!("{n} points make no circle: this is no femoral condyle")));
    }
    let fit = least_squares(&design, &squares)?;
    let centre = [0.5 * fit.coefficients[0], 0.5 * fit.coefficients[1]];
    let radius_mm = (fit.coefficients[2] + centre[0].powi(2) + centre[1].powi(2)).sqrt();
    if !CONDYLE_RADII_MM.contains(&radius_mm) {
        return Err(Error::value(format!(
            "the circle through the cartilage has radius {radius_mm:.1} mm, outside {}–{} mm: this \
             is no femoral condyle",
            CONDYLE_RADII_MM.start(),
            CONDYLE_RADII_MM.end()
        )));
    }
    Ok([mean[0] + centre[0], mean[1] + centre[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A point on an arc of 20 mm about (y, z) = (5, −8), `degrees` from straight back.
    fn on_arc(x: f64, degrees: f64) -> [f64; 3] {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        [x, 5.0 - 20.0 * cosine, -8.0 + 20.0 * sine]
    }

    fn condyles(middle_mm: f64) -> Vec<[f64; 3]> {
        (-30..=30)
            .flat_map(|x| (-200..=0).map(move |a| on_arc(f64::from(x) + middle_mm, f64::from(a))))
            .collect()
    }

    #[test]
    fn regions_follow_the_angle_and_the_side() {
        use FemoralRegion as R;
        let cases = [
            (-150.0, [R::MedialTrochlea, R::LateralTrochlea]),
            (-105.5, [R::MedialTrochlea, R::LateralTrochlea]),
            (-104.5, [R::CentralMedial, R::CentralLateral]),
            (-75.5, [R::CentralMedial, R::CentralLateral]),
            (-74.5, [R::PosteriorMedial, R::PosteriorLateral]),
            (30.0, [R::PosteriorMedial, R::PosteriorLateral]),
        ];
        for (side, to_lateral) in [(Side::Right, 1.0), (Side::Left, -1.0)] {
            let parcellation = Parcellation::fit(&condyles(3.0), side).unwrap();
            for (degrees, [medial, lateral]) in cases {
                let at = |x: f64| on_arc(3.0 + to_lateral * x, degrees);
                assert!((parcellation.angle_deg(at(1.0)) - degrees).abs() < 1e-6);
                assert!((parcellation.lateral_mm(at(7.0)) - 7.0).abs() < 1e-9);
                assert_eq!(parcellation.region(at(-20.0)), medial, "{side:?} {degrees}");
                assert_eq!(parcellation.region(at(20.0)), lateral, "{side:?} {degrees}");
            }
        }
    }

    #[test]
    fn a_knee_on_the_wrong_side_of_the_scanner_is_refused() {
        assert!(Parcellation::fit(&condyles(80.0), Side::Right).is_ok());
        assert!(Parcellation::fit(&condyles(30.0), Side::Left).is_ok(), "isocentres wander");
        let error = Parcellation::fit(&condyles(80.0), Side::Left).unwrap_err();
        assert!(
            error.to_string().contains("called left, but its cartilage lies at x = 80 mm, right")
        );
        assert!(error.hint_text().unwrap().contains("affine"));
        assert!(Parcellation::fit(&[[0.0; 3]; 2], Side::Left).is_err());
    }

    #[test]
    fn the_side_is_where_lateral_lies() {
        // Tibial cartilages of a right knee at the isocentre and of a left one.
        assert_eq!(Side::of_parts(46.5, 91.0), Some(Side::Right));
        assert_eq!(Side::of_parts(12.0, -20.0), Some(Side::Left));
        assert_eq!(Side::of_parts(12.0, 12.5), None);
        assert_eq!(Side::of_parts(f64::NAN, 3.0), None);
    }

    #[test]
    fn names_are_read_back_and_distinct() {
        assert_eq!(
            ["left", "right", "LEFT"].map(Side::named),
            [Some(Side::Left), Some(Side::Right), None]
        );
        let mut names = FEMORAL_PARTS.map(|part| part.name);
        for (part, region) in FEMORAL_PARTS.iter().zip(FemoralRegion::ALL) {
            assert_eq!((part.name, part.regions), (region.name(), &[region][..]));
        }
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
