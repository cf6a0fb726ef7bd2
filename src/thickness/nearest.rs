//! Exact nearest neighbour among points in space.
//!
//! # Reference
//!
//! Friedman, Bentley and Finkel, "An algorithm for finding best matches in logarithmic expected
//! time", ACM Transactions on Mathematical Software 3 (1977) 209–226, doi:10.1145/355744.355745.

/// Subsets of this many points are searched one by one.
const LEAF: usize = 8;

/// A balanced k-d tree: the middle point of every range splits the others along one axis.
pub(super) struct PointIndex {
    points_mm: Vec<[f64; 3]>,
    /// Place of each point in the list it came from.
    ids: Vec<usize>,
    /// Splitting axis of the range whose middle point this is.
    axes: Vec<u8>,
}

/// The nearest point and the squared distance to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Nearest {
    pub(super) id: usize,
    pub(super) squared_mm2: f64,
}

impl PointIndex {
    /// Indexes `points_mm`, which must be finite.
    pub(super) fn new(points_mm: &[[f64; 3]]) -> Self {
        let mut ids: Vec<usize> = (0..points_mm.len()).collect();
        let mut axes = vec![0; points_mm.len()];
        split(points_mm, &mut ids, &mut axes);
        Self { points_mm: ids.iter().map(|&id| points_mm[id]).collect(), ids, axes }
    }

    /// The point nearest to `position_mm`, the first in the list among equals; `None` where there is
    /// no point.
    pub(super) fn nearest(&self, position_mm: [f64; 3]) -> Option<Nearest> {
        self.nearest_within(position_mm, f64::INFINITY)
    }

    /// The nearest point if its squared distance is at most `limit_mm2`.
    pub(super) fn nearest_within(&self, position_mm: [f64; 3], limit_mm2: f64) -> Option<Nearest> {
        let mut best = Nearest { id: usize::MAX, squared_mm2: limit_mm2 };
        self.search(0..self.ids.len(), position_mm, &mut best);
        (best.id != usize::MAX).then_some(best)
    }

    /// Shows every point whose squared distance is at most `limit_mm2`, in an order that depends on
    /// the points alone.
    pub(super) fn for_each_within(
        &self,
        position_mm: [f64; 3],
        limit_mm2: f64,
        mut visit: impl FnMut(Nearest),
    ) {
        let mut waiting = Vec::new();
        waiting.push(0..self.ids.len());
        while let Some(range) = waiting.pop() {
            let middle = usize::midpoint(range.start, range.end);
            let is_leaf = range.len() <= LEAF;
            let tried = if is_leaf { range.clone() } else { middle..middle + 1 };
            for at in tried {
                let squared_mm2 = squared_mm2(position_mm, self.points_mm[at]);
                if squared_mm2 <= limit_mm2 {
                    visit(Nearest { id: self.ids[at], squared_mm2 });
                }
            }
            if is_leaf {
                continue;
            }
            let axis = usize::from(self.axes[middle]);
            let offset_mm = position_mm[axis] - self.points_mm[middle][axis];
            let is_near = offset_mm * offset_mm <= limit_mm2;
            if is_near || offset_mm < 0.0 {
                waiting.push(range.start..middle);
            }
            if is_near || offset_mm >= 0.0 {
                waiting.push(middle + 1..range.end);
            }
        }
    }

    fn search(&self, range: std::ops::Range<usize>, position_mm: [f64; 3], best: &mut Nearest) {
        if range.len() <= LEAF {
            range.for_each(|at| self.try_point(at, position_mm, best));
            return;
        }
        let middle = usize::midpoint(range.start, range.end);
        let axis = usize::from(self.axes[middle]);
        self.try_point(middle, position_mm, best);
        let offset_mm = position_mm[axis] - self.points_mm[middle][axis];
        let (below, above) = (range.start..middle, middle + 1..range.end);
        let (near, far) = if offset_mm < 0.0 { (below, above) } else { (above, below) };
        self.search(near, position_mm, best);
        if offset_mm * offset_mm <= best.squared_mm2 {
            self.search(far, position_mm, best);
        }
    }

    fn try_point(&self, at: usize, position_mm: [f64; 3], best: &mut Nearest) {
        let squared_mm2 = squared_mm2(position_mm, self.points_mm[at]);
        let candidate = Nearest { id: self.ids[at], squared_mm2 };
        if (candidate.squared_mm2, candidate.id) < (best.squared_mm2, best.id) {
            *best = candidate;
        }
    }
}

fn squared_mm2(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|r| (a[r] - b[r]).powi(2)).sum()
}

fn split(points_mm: &[[f64; 3]], ids: &mut [usize], axes: &mut [u8]) {
    if ids.len() <= LEAF {
        return;
    }
    let axis = widest_axis(points_mm, ids);
    let middle = ids.len() / 2;
    ids.select_nth_unstable_by(middle, |&a, &b| {
        points_mm[a][axis].total_cmp(&points_mm[b][axis]).then(a.cmp(&b))
    });
    axes[middle] = axis as u8;
    let (below, above) = ids.split_at_mut(middle);
    let (axes_below, axes_above) = axes.split_at_mut(middle);
    split(points_mm, below, axes_below);
    split(points_mm, &mut above[1..], &mut axes_above[1..]);
}

fn widest_axis(points_mm: &[[f64; 3]], ids: &[usize]) -> usize {
    let extent = |axis: usize| {
        let (low, high) =
            ids.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &id| {
                (low.min(points_mm[id][axis]), high.max(points_mm[id][axis]))
            });
        high - low
    };
    let extents = [0, 1, 2].map(extent);
    (0..3).max_by(|&a, &b| extents[a].total_cmp(&extents[b])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StreamKey;

    #[test]
    fn the_nearest_point_is_that_of_brute_force_also_among_equals() {
        let mut stream = StreamKey::new(7, "nearest").stream(0, 0);
        // A coarse lattice, so that many points coincide and many distances are equal.
        let mut point = || [0; 3].map(|_: i32| stream.below(12) as f64);
        let points: Vec<_> = (0..3_000).map(|_| point()).collect();
        let index = PointIndex::new(&points);
        for _ in 0..500 {
            let position = point().map(|x| x * 1.5 - 2.0);
            let squared = |p: &[f64; 3]| (0..3).map(|r| (position[r] - p[r]).powi(2)).sum::<f64>();
            let best = (0..points.len())
                .min_by(|&a, &b| squared(&points[a]).total_cmp(&squared(&points[b])))
                .unwrap();
            let found = index.nearest(position).unwrap();
            assert_eq!(found, Nearest { id: best, squared_mm2: squared(&points[best]) });
            assert_eq!(index.nearest_within(position, found.squared_mm2), Some(found));
            assert_eq!(index.nearest_within(position, found.squared_mm2 - 1e-9), None);
            let mut within = Vec::new();
            index.for_each_within(position, 9.0, |near| within.push(near.id));
            within.sort_unstable();
            let expected = (0..points.len()).filter(|&i| squared(&points[i]) <= 9.0);
            assert_eq!(within, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_point_has_no_nearest() {
        assert_eq!(PointIndex::new(&[]).nearest([0.0; 3]), None);
    }
}
