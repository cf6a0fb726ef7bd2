//! Every definition of thickness on shapes whose thickness is known, and on a real knee.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use biomarker::image::{Affine, Grid, Mask, Volume};
use biomarker::thickness::{self, Method, Settings, SurfacePoint, Thickness};

use crate::golden_thickness::{knee, label};

/// Voxels of a double-echo steady-state scan of the knee.
const SPACING_MM: [f64; 3] = [0.365, 0.456, 0.7];
const SURFACE_METHODS: [Method; 4] =
    [Method::Subvoxel, Method::Normal, Method::Local, Method::Laplace];

/// A cube of `half_mm` to each side, turned by `degrees` about the scanner's z axis.
fn grid(half_mm: f64, degrees: f64) -> Grid {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let [x, y, z] = SPACING_MM;
    let shape = SPACING_MM.map(|spacing| (2.0 * half_mm / spacing).ceil() as usize + 1);
    let middle = shape.map(|n| (n / 2) as f64);
    let affine = Affine::new([
        [cosine * x, -sine * y, 0.0, 0.07 - cosine * x * middle[0] + sine * y * middle[1]],
        [sine * x, cosine * y, 0.0, -0.11 - sine * x * middle[0] - cosine * y * middle[1]],
        [0.0, 0.0, z, 0.13 - z * middle[2]],
    ]);
    Grid::new(shape, affine.unwrap()).unwrap()
}

/// Bone where `height` is below 0, cartilage from there to `thickness_mm`.
fn layer(grid: Grid, thickness_mm: f64, height: impl Fn([f64; 3]) -> f64) -> [Mask; 2] {
    let heights: Vec<f64> = (0..grid.n_voxels()).map(|i| height(grid.position_mm(i))).collect();
    let cartilage = |i: usize| heights[i] > 0.0 && heights[i] <= thickness_mm;
    [
        Mask::new(Volume::from_fn(grid, cartilage)),
        Mask::new(Volume::from_fn(grid, |i| heights[i] <= 0.0)),
    ]
}

fn shell(thickness_mm: f64, degrees: f64) -> [Mask; 2] {
    let height = |p: [f64; 3]| p.iter().map(|x| x * x).sum::<f64>().sqrt() - 20.0;
    layer(grid(24.0, degrees), thickness_mm, height)
}

fn slab(thickness_mm: f64, degrees: f64) -> [Mask; 2] {
    layer(grid(9.0, degrees), thickness_mm, |[x, y, z]| 0.48 * x + 0.6 * y + 0.64 * z)
}

fn measure([cartilage, bone]: &[Mask; 2], method: Method) -> Thickness {
    let settings = Settings { method, ..Settings::default() };
    thickness::measure(cartilage, Some(bone), &settings).unwrap()
}

/// Mean over the points within `reach_mm` of the middle, far from the border of the image, which lets
/// no flux through and so bends the field lines beside it.
fn central_mean(thickness: &Thickness, reach_mm: f64, value: impl Fn(&SurfacePoint) -> f64) -> f64 {
    let is_central = |p: &&SurfacePoint| p.position_mm.iter().all(|x| x.abs() < reach_mm);
    let (mut sum, mut area_mm2) = (0.0, 0.0);
    for point in thickness.points.iter().filter(is_central) {
        sum += value(point) * point.area_mm2;
        area_mm2 += point.area_mm2;
    }
    sum / area_mm2
}

#[test]
fn shells_have_their_thickness_under_every_definition_however_they_are_turned() {
    for true_mm in [1.5, 2.5] {
        let [straight, turned] = [0.0, 30.0].map(|degrees| shell(true_mm, degrees));
        for method in SURFACE_METHODS {
            let [straight, turned] =
                [&straight, &turned].map(|masks| measure(masks, method).summary.mean_mm);
            let bias_mm = (straight - true_mm).abs();
            assert!(bias_mm < 0.05, "{method:?} {true_mm}: {straight}");
            assert!((turned - straight).abs() < 0.03, "{method:?} {true_mm}: {straight} {turned}");
        }
    }
}

#[test]
fn slabs_have_their_thickness_under_every_definition() {
    for true_mm in [1.0, 2.0, 3.0] {
        let masks = slab(true_mm, 0.0);
        for method in SURFACE_METHODS {
            let mean_mm = central_mean(&measure(&masks, method), 4.5, |p| p.thickness_mm);
            let bias_mm = (mean_mm - true_mm).abs();
            assert!(bias_mm < 0.05, "{method:?} {true_mm}: {mean_mm}");
        }
    }
}

/// Two planes that meet at an angle.
#[test]
fn a_wedge_tells_the_definitions_apart() {
    let grid = grid(9.0, 0.0);
    let slope = 0.5_f64;
    // Planes that follow no voxel axis: height above the bone, and the way along it.
    let height = |[x, y, z]: [f64; 3]| 0.48 * x + 0.6 * y + 0.64 * z;
    let along = |[x, _, z]: [f64; 3]| 0.8 * x - 0.6 * z;
    let joint = |p: [f64; 3]| 3.0 + slope * along(p);
    let bone = Mask::new(Volume::from_fn(grid, |i| height(grid.position_mm(i)) <= 0.0));
    let cartilage = Mask::new(Volume::from_fn(grid, |i| {
        let p = grid.position_mm(i);
        height(p) > 0.0 && height(p) <= joint(p)
    }));
    let masks = [cartilage, bone];
    let angle = slope.atan();
    // From a joint of height h: straight down h, along its normal h / cos α, on the arc around the edge
    // of the wedge α·h / sin α.
    let ratio = |method| match method {
        Method::Normal => angle.cos().recip(),
        Method::Laplace => angle / angle.sin(),
        _ => 1.0,
    };
    for method in [Method::Subvoxel, Method::Normal, Method::Laplace] {
        let thickness = measure(&masks, method);
        let found = central_mean(&thickness, 3.0, |p| p.thickness_mm / joint(p.position_mm));
        // 0.03 mm of 3 mm.
        assert!((found - ratio(method)).abs() < 0.01, "{method:?}: {found}");
    }
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let pairs: Vec<[f64; 2]> = a
        .iter()
        .zip(b)
        .filter(|(a, b)| a.is_finite() && b.is_finite())
        .map(|(&a, &b)| [f64::from(a), f64::from(b)])
        .collect();
    let mean = |k: usize| pairs.iter().map(|p| p[k]).sum::<f64>() / pairs.len() as f64;
    let means = [mean(0), mean(1)];
    let product = |j: usize, k: usize| {
        pairs.iter().map(|p| (p[j] - means[j]) * (p[k] - means[k])).sum::<f64>()
    };
    product(0, 1) / (product(0, 0) * product(1, 1)).sqrt()
}

/// 2.250 mm by ray casting of other software; 2.384 mm is twice the voxel distance on the ridge.
#[test]
fn definitions_of_a_real_knee_stand_in_their_order_and_follow_each_other() {
    let Some((labels, _)) = knee("definitions of thickness") else { return };
    let masks = [label(&labels, 1), label(&labels, 5)];
    let found = SURFACE_METHODS.map(|method| measure(&masks, method));
    let means = [0, 1, 2, 3].map(|k| found[k].summary.mean_mm);
    let [nearest, normal, local, laplace] = means;
    assert!(nearest < laplace && laplace < normal && normal < local, "{means:?}");
    assert!((normal / 2.250 - 1.0).abs() < 0.05, "{normal}");
    assert!((local / 2.384 - 1.0).abs() < 0.05, "{local}");
    for other in &found[1..] {
        let follows = correlation(&found[0].vertex_thickness_mm, &other.vertex_thickness_mm);
        assert!(follows > 0.9, "{:?}: {follows}", other.method);
    }
}

/// `thickness_summary.json`, `local_thickness_iso`: the labels were made isotropic first.
#[test]
fn the_largest_balls_of_a_real_knee_are_those_of_localthickness() {
    let Some((labels, _)) = knee("largest balls of a knee") else { return };
    let cartilage = label(&labels, 1);
    let diameters = thickness::local_thickness(&cartilage).unwrap();
    let sum: f64 = cartilage.indices().iter().map(|&i| f64::from(diameters.voxels()[i])).sum();
    let mean_mm = sum / cartilage.len() as f64;
    assert!((mean_mm / 2.660 - 1.0).abs() < 0.03, "{mean_mm}");
}

#[test]
fn every_definition_is_the_same_for_every_number_of_threads() {
    let masks = slab(2.0, 30.0);
    for method in SURFACE_METHODS {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| format!("{:?}", measure(&masks, method)))
        };
        assert!(with(1) == with(3), "{method:?}");
    }
}
