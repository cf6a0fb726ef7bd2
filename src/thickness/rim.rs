//! Points of the joint that face the interface and not its end.
//!
//! Where the interface ends, the nearest point lies on its end or cartilage tapers off beside it;
//! the distance there is not a thickness.

use super::nearest::{Nearest, PointIndex};

/// The points of an interface, with the curve where it ends.
pub(super) struct InterfaceIndex<'a> {
    rim: &'a [bool],
    points: PointIndex,
    curve: PointIndex,
    rim_mm: f64,
}

impl<'a> InterfaceIndex<'a> {
    /// `rim` tells of each point whether the interface ends there.
    pub(super) fn new(points_mm: &[[f64; 3]], rim: &'a [bool], rim_mm: f64) -> Self {
        let curve: Vec<_> =
            points_mm.iter().zip(rim).filter(|(_, rim)| **rim).map(|(&p, _)| p).collect();
        Self { rim, points: PointIndex::new(points_mm), curve: PointIndex::new(&curve), rim_mm }
    }

    /// The nearest point of the interface, unless that lies on the curve or the curve is within the
    /// width of the rim.
    pub(super) fn facing(&self, position_mm: [f64; 3]) -> Option<Nearest> {
        if self.is_near_curve(position_mm) {
            return None;
        }
        self.points.nearest(position_mm).filter(|nearest| !self.rim[nearest.id])
    }

    /// Whether the curve is within the width of the rim.
    pub(super) fn is_near_curve(&self, position_mm: [f64; 3]) -> bool {
        self.curve.nearest_within(position_mm, self.rim_mm * self.rim_mm).is_some()
    }
}
