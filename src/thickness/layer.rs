//! The voxel centres between both surfaces, and where the steps from one to the next cross them.

use super::interface::Surfaces;
use super::nearest::PointIndex;
use super::region::Region;

/// The value of a smooth indicator on a surface.
const LEVEL: f32 = 0.5;

/// A step is never shorter than this share of a voxel, so that equations stay well conditioned.
const SHORTEST_STEP: f64 = 0.01;

/// The layer of voxel centres whose smooth indicators say cartilage.
pub(super) struct Layer {
    pub(super) region: Region,
    /// Smooth indicator of bone, where there is a bone mask.
    pub(super) bone: Option<Vec<f32>>,
    /// Smooth indicator of bone and cartilage.
    pub(super) whole: Vec<f32>,
}

/// What a step along a voxel axis ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Another voxel centre of the layer, by its number.
    Node(usize),
    /// The bone–cartilage interface.
    Bone,
    /// The articular surface.
    Joint,
    /// The border of the image, which is no surface.
    Border,
}

/// A step to the next voxel centre, or to the surface before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) end: End,
    pub(super) length_mm: f64,
}

/// The voxel centres of a layer.
pub(super) struct Nodes {
    /// Scanner positions, mm.
    pub(super) positions_mm: Vec<[f64; 3]>,
    /// Down and up along each voxel axis.
    pub(super) steps: Vec<[[Step; 2]; 3]>,
}

impl Layer {
    fn is_inside(&self, at: usize) -> bool {
        self.whole[at] >= LEVEL && !self.is_bone(at)
    }

    fn is_bone(&self, at: usize) -> bool {
        self.bone.as_ref().is_some_and(|bone| bone[at] >= LEVEL)
    }

    /// The voxel centres of the layer with their steps.
    pub(super) fn nodes(&self, surfaces: &Surfaces) -> Nodes {
        let n = self.whole.len();
        let places: Vec<usize> = (0..n).filter(|&at| self.is_inside(at)).collect();
        let mut numbers = vec![usize::MAX; n];
        for (number, &at) in places.iter().enumerate() {
            numbers[at] = number;
        }
        let sides = self.bone.is_none().then(|| {
            [&surfaces.interface, &surfaces.articular].map(|s| PointIndex::new(&s.vertices_mm))
        });
        let position = |at: usize| self.region.position_mm(self.region.voxel(at).map(|i| i as f64));
        let steps = |&at: &usize| {
            [0, 1, 2]
                .map(|axis| [0, 1].map(|up| self.step(at, (axis, up), &numbers, sides.as_ref())))
        };
        Nodes {
            positions_mm: places.iter().map(|&at| position(at)).collect(),
            steps: places.iter().map(steps).collect(),
        }
    }

    fn step(
        &self,
        at: usize,
        (axis, up): (usize, usize),
        numbers: &[usize],
        sides: Option<&[PointIndex; 2]>,
    ) -> Step {
        let [nx, ny, _] = self.region.shape;
        let stride = [1, nx, nx * ny][axis];
        let spacing_mm = self.region.grid.affine().spacing_mm()[axis];
        let voxel = self.region.voxel(at);
        let is_last =
            if up == 1 { voxel[axis] + 1 == self.region.shape[axis] } else { voxel[axis] == 0 };
        if is_last {
            return Step { end: End::Border, length_mm: spacing_mm };
        }
        let other = if up == 1 { at + stride } else { at - stride };
        if numbers[other] != usize::MAX {
            return Step { end: End::Node(numbers[other]), length_mm: spacing_mm };
        }
        let field = match &self.bone {
            Some(bone) if self.is_bone(other) => bone,
            _ => &self.whole,
        };
        let fraction = f64::from((LEVEL - field[at]) / (field[other] - field[at]));
        let length_mm = spacing_mm * fraction.clamp(SHORTEST_STEP, 1.0);
        let end = match sides {
            None if self.is_bone(other) => End::Bone,
            None => End::Joint,
            Some(sides) => {
                let mut crossing = voxel.map(|i| i as f64);
                crossing[axis] += if up == 1 { fraction } else { -fraction };
                nearer_side(sides, self.region.position_mm(crossing))
            }
        };
        Step { end, length_mm }
    }
}

fn nearer_side([bone, joint]: &[PointIndex; 2], position_mm: [f64; 3]) -> End {
    let squared =
        |index: &PointIndex| index.nearest(position_mm).map_or(f64::INFINITY, |n| n.squared_mm2);
    if squared(bone) <= squared(joint) { End::Bone } else { End::Joint }
}
