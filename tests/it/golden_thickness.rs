//! Thickness on shapes whose thickness is known, and on a real knee.
//!
//! The numbers of other software come from `golden/thickness.py` and from the validation data.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests may panic and read files"
)]

use std::io::Read;
use std::path::{Path, PathBuf};

use biomarker::image::{Affine, Grid, Mask, Volume};
use biomarker::thickness::{self, Method, Settings, Thickness, Warning};

use crate::shared_data;

/// Voxels of a double-echo steady-state scan of the knee.
const SPACING_MM: [f64; 3] = [0.365, 0.456, 0.7];

/// A grid of `half_mm` to each side of the origin, turned by `degrees` about the scanner's z axis
/// and moved a little off the lattice.
fn grid(half_mm: [f64; 3], degrees: f64) -> Grid {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let [x, y, z] = SPACING_MM;
    let shape = [0, 1, 2].map(|axis| (2.0 * half_mm[axis] / SPACING_MM[axis]).ceil() as usize + 1);
    let turned = |i: f64, j: f64| [cosine * i - sine * j, sine * i + cosine * j];
    let corner = turned(-x * (shape[0] / 2) as f64, -y * (shape[1] / 2) as f64);
    let affine = Affine::new([
        [cosine * x, -sine * y, 0.0, corner[0] + 0.07],
        [sine * x, cosine * y, 0.0, corner[1] - 0.11],
        [0.0, 0.0, z, -z * (shape[2] / 2) as f64 + 0.13],
    ]);
    Grid::new(shape, affine.unwrap()).unwrap()
}

fn mask(grid: Grid, inside: impl Fn([f64; 3]) -> bool) -> Mask {
    Mask::new(Volume::from_fn(grid, |index| inside(grid.position_mm(index))))
}

fn radius([x, y, z]: [f64; 3]) -> f64 {
    (x * x + y * y + z * z).sqrt()
}

/// A ball of bone of 20 mm under a shell of cartilage: the cartilage and the bone.
fn shell(thickness_mm: f64, degrees: f64) -> (Mask, Mask) {
    let grid = grid([24.0; 3], degrees);
    let bone = mask(grid, |p| radius(p) <= 20.0);
    let cartilage = mask(grid, |p| radius(p) > 20.0 && radius(p) <= 20.0 + thickness_mm);
    (cartilage, bone)
}

fn measure_shell(thickness_mm: f64, degrees: f64, method: Method) -> Thickness {
    let (cartilage, bone) = shell(thickness_mm, degrees);
    let settings = Settings { method, ..Settings::default() };
    thickness::measure(&cartilage, Some(&bone), &settings).unwrap()
}

#[test]
fn shells_of_every_thickness_are_measured_within_a_twentieth_of_a_millimetre() {
    for true_mm in [0.8, 1.0, 1.5, 2.5] {
        let thickness = measure_shell(true_mm, 0.0, Method::Subvoxel);
        let summary = &thickness.summary;
        assert!((summary.mean_mm - true_mm).abs() < 0.05, "{true_mm}: {summary:?}");
        assert!(thickness.warnings.is_empty() && summary.n_excluded == 0);
        let bone = summary.bone.unwrap();
        // A sphere of 20 mm, whose smooth surface shrinks by σ²/R = 0.02 mm.
        let sphere_mm2 = 4.0 * std::f64::consts::PI * 400.0;
        assert!((bone.covered_area_mm2 / sphere_mm2 - 1.0).abs() < 0.01, "{bone:?}");
        assert!((bone.total_mean_mm - true_mm).abs() < 0.05, "{bone:?}");
    }
}

/// scipy 1.x, `golden/thickness.py`: mean and standard deviation over points without weights.
#[test]
fn shells_agree_with_an_independent_implementation() {
    let golden = [
        (1.5, Method::Voxel, 21_707, 1.413_772_06, 0.138_980_17),
        (2.5, Method::Voxel, 23_786, 2.379_862_45, 0.161_005_68),
        (1.5, Method::Subvoxel, 115_566, 1.504_872_90, 0.030_828_15),
        (2.5, Method::Subvoxel, 126_622, 2.500_851_16, 0.052_809_95),
    ];
    for (true_mm, method, n_points, mean, sd) in golden {
        let points = measure_shell(true_mm, 0.0, method).points;
        assert_eq!(points.len(), n_points);
        let n = points.len() as f64;
        let ours = points.iter().map(|p| p.thickness_mm).sum::<f64>() / n;
        let squares = points.iter().map(|p| (p.thickness_mm - ours).powi(2)).sum::<f64>();
        let ours_sd = (squares / (n - 1.0)).sqrt();
        // The smooth fields are single precision here and double there.
        assert!((ours - mean).abs() < 1e-5, "{true_mm} {method:?}: {ours} {mean}");
        assert!((ours_sd - sd).abs() < 1e-5, "{true_mm} {method:?}: {ours_sd} {sd}");
    }
}

/// Bone below a plane through the origin, cartilage above it, in voxel axes turned by `degrees`.
fn slab(thickness_mm: f64, degrees: f64) -> (Mask, Mask) {
    let grid = grid([9.0; 3], degrees);
    // A plane that follows no voxel axis at either angle.
    let height = |[x, y, z]: [f64; 3]| 0.48 * x + 0.6 * y + 0.64 * z;
    let bone = mask(grid, |p| height(p) <= 0.0);
    (mask(grid, |p| height(p) > 0.0 && height(p) <= thickness_mm), bone)
}

#[test]
fn a_slab_is_as_thick_as_it_is_whichever_way_the_voxels_lie() {
    for true_mm in [0.8, 1.0, 2.0, 3.0] {
        let [straight, turned] = [0.0, 30.0].map(|degrees| {
            let (cartilage, bone) = slab(true_mm, degrees);
            let settings = Settings::default();
            thickness::measure(&cartilage, Some(&bone), &settings).unwrap().summary
        });
        assert!((straight.mean_mm - true_mm).abs() < 0.05, "{true_mm}: {straight:?}");
        assert!((turned.mean_mm - straight.mean_mm).abs() < 0.03, "{true_mm}: {turned:?}");
        assert!(straight.n_excluded > 0, "the border of the image is a rim");
    }
}

#[test]
fn a_shell_turned_by_thirty_degrees_keeps_its_mean() {
    for true_mm in [1.5, 2.5] {
        let [straight, turned] = [0.0, 30.0]
            .map(|degrees| measure_shell(true_mm, degrees, Method::Subvoxel).summary.mean_mm);
        assert!((straight - turned).abs() < 0.03, "{true_mm}: {straight} {turned}");
    }
}

/// A condyle: half a cylinder about the scanner's x axis, and its cartilage from 20 mm on.
fn condyle(thickness_mm: f64) -> (Mask, Mask) {
    let grid = grid([8.0, 24.0, 24.0], 0.0);
    let radius = |p: [f64; 3]| p[1].hypot(p[2]);
    let is_half = |p: [f64; 3]| p[2] < 5.0 && p[0].abs() < 6.0;
    let bone = mask(grid, |p| radius(p) <= 20.0);
    let inside = |p| (20.0..20.0 + thickness_mm).contains(&radius(p)) && is_half(p);
    (mask(grid, |p| inside(p) && radius(p) > 20.0), bone)
}

/// Mean away from the ends of the condyle, whose square shoulders the Gaussian rounds.
fn mean_beyond_edges_mm(thickness: &Thickness) -> f64 {
    let is_beyond = |p: [f64; 3]| p[0].abs() < 3.0 && p[2] < 2.0;
    let (sum, area) = thickness
        .points
        .iter()
        .filter(|point| is_beyond(point.position_mm))
        .fold((0.0, 0.0), |(sum, area), p| (sum + p.thickness_mm * p.area_mm2, area + p.area_mm2));
    sum / area
}

#[test]
fn cartilage_without_bone_finds_its_side_from_the_axis_of_the_condyle() {
    // Two standard deviations of the Gaussian, 1.4 mm, are the thinnest that keep it.
    for true_mm in [1.5, 2.0, 3.0] {
        let (cartilage, bone) = condyle(true_mm);
        let settings = Settings::default();
        let with_bone = thickness::measure(&cartilage, Some(&bone), &settings).unwrap();
        let alone = thickness::measure(&cartilage, None, &settings).unwrap();
        let [with_bone_mm, alone_mm] = [&with_bone, &alone].map(mean_beyond_edges_mm);
        assert!((with_bone_mm - true_mm).abs() < 0.05, "{true_mm}: {with_bone_mm}");
        assert!((alone_mm - true_mm).abs() < 0.05, "{true_mm}: {alone_mm}");
        let radius = |p: [f64; 3]| p[1].hypot(p[2]);
        assert!(alone.points.iter().all(|p| radius(p.position_mm) > radius(p.interface_mm)));
        assert!(alone.summary.n_excluded > 0 && alone.warnings.is_empty());
    }
}

#[test]
fn thin_cartilage_without_bone_is_smoothed_less_and_says_so() {
    let (cartilage, bone) = condyle(1.0);
    let settings = Settings::default();
    let alone = thickness::measure(&cartilage, None, &settings).unwrap();
    assert_eq!(alone.warnings, [Warning::SmoothingReduced]);
    let sd_mm = alone.surfaces.as_ref().unwrap().smoothing_sd_mm;
    assert!(sd_mm.iter().zip(SPACING_MM).all(|(sd, spacing)| (sd - 0.5 * spacing).abs() < 1e-12));
    let reduced = (mean_beyond_edges_mm(&alone) - 1.0).abs();
    let surfaces = thickness::extract_surfaces(&cartilage, None, [0.7; 3]).unwrap();
    let radius = |p: &[f64; 3]| p[1].hypot(p[2]);
    let mean =
        |vertices: &[[f64; 3]]| vertices.iter().map(radius).sum::<f64>() / vertices.len() as f64;
    let full_mm = mean(&surfaces.articular.vertices_mm) - mean(&surfaces.interface.vertices_mm);
    assert!(reduced < 0.15 && reduced < 0.5 * (full_mm - 1.0).abs(), "{reduced} {full_mm}");
    // With bone nothing is worn away, and nothing is narrowed.
    let with_bone = thickness::measure(&cartilage, Some(&bone), &settings).unwrap();
    assert!((mean_beyond_edges_mm(&with_bone) - 1.0).abs() < 0.05, "{:?}", with_bone.summary);
    assert!(with_bone.warnings.is_empty());
}

#[test]
fn a_hole_down_to_bone_is_denuded_area() {
    let (cartilage, bone) = shell(2.0, 0.0);
    let grid = *cartilage.grid();
    // A round defect of 4 mm radius at one pole.
    let whole = |p: [f64; 3]| !(p[0].hypot(p[1]) < 4.0 && p[2] > 0.0);
    let cartilage = Mask::new(Volume::from_fn(grid, |index| {
        cartilage.contains(index) && whole(grid.position_mm(index))
    }));
    let thickness = thickness::measure(&cartilage, Some(&bone), &Settings::default()).unwrap();
    let summary = thickness.summary.bone.unwrap();
    // The largest bare piece is taken for the bone outside the joint, so a second hole is counted.
    assert!(summary.denuded_area_mm2 < 1e-9);
    let cap = |p: [f64; 3]| whole(p) && !(p[0].hypot(p[1]) < 5.0 && p[2] < 0.0);
    let cartilage = Mask::new(Volume::from_fn(grid, |index| {
        cartilage.contains(index) && cap(grid.position_mm(index))
    }));
    let thickness = thickness::measure(&cartilage, Some(&bone), &Settings::default()).unwrap();
    let summary = thickness.summary.bone.unwrap();
    let cap_mm2 = std::f64::consts::TAU * 20.0 * (20.0 - (400.0_f64 - 16.0).sqrt());
    // A rim of one voxel around 25 mm.
    assert!((summary.denuded_area_mm2 - cap_mm2).abs() < 6.0, "{summary:?} {cap_mm2}");
    assert!(summary.total_mean_mm < summary.covered_mean_mm);
    assert!((thickness.summary.mean_mm - 2.0).abs() < 0.05, "{:?}", thickness.summary);
}

#[test]
fn depth_runs_from_bone_to_joint() {
    let (cartilage, bone) = shell(3.0, 0.0);
    let thickness = thickness::measure(&cartilage, Some(&bone), &Settings::default()).unwrap();
    let surfaces = thickness.surfaces.as_ref().unwrap();
    let depth = thickness::normalised_depth(&cartilage, surfaces).unwrap();
    for &index in cartilage.indices() {
        let expected = (radius(cartilage.grid().position_mm(index)) - 20.0) / 3.0;
        let z = f64::from(depth.voxels()[index]);
        // Half a slice, where slices touch the ball.
        assert!((z - expected).abs() < 0.35 / 3.0, "{z} {expected}");
    }
    let (deep, superficial) = thickness::deep_and_superficial(&depth);
    assert_eq!(deep.len() + superficial.len(), cartilage.len());
    assert!(deep.indices().iter().all(|&i| cartilage.contains(i) && !superficial.contains(i)));
}

#[test]
fn the_map_holds_thickness_at_cartilage_voxels_only() {
    let (cartilage, _) = shell(1.5, 0.0);
    let map = measure_shell(1.5, 0.0, Method::Subvoxel).map();
    let mut n_measured = 0;
    for (index, &value) in map.voxels().iter().enumerate() {
        if value > 0.0 {
            n_measured += 1;
            // Half a slice, where slices touch the ball.
            assert!(cartilage.contains(index) && (value - 1.5).abs() < 0.35, "{value}");
        }
    }
    assert!(n_measured > 15_000);
}

#[test]
fn inputs_without_a_thickness_are_refused_with_the_reason() {
    let grid = grid([4.0; 3], 0.0);
    let none = mask(grid, |_| false);
    let low = mask(grid, |p| p[2] < -1.0);
    let high = mask(grid, |p| p[2] > 2.0);
    let touching = mask(grid, |p| (-1.0..1.0).contains(&p[2]));
    let other = mask(self::grid([3.0; 3], 0.0), |_| true);
    let voxel = Settings { method: Method::Voxel, ..Settings::default() };
    let subvoxel = Settings::default();
    let wide = Settings { smoothing_sd_mm: f64::NAN, ..subvoxel };
    let cases: [(&Mask, Option<&Mask>, Settings, &str); 11] = [
        (&none, Some(&low), subvoxel, "the cartilage mask is empty"),
        (&touching, Some(&none), subvoxel, "the bone mask is empty"),
        (&touching, Some(&none), voxel, "the bone mask is empty"),
        (&high, Some(&low), subvoxel, "they do not touch"),
        (&high, Some(&low), voxel, "shares a face"),
        (&low, Some(&low), subvoxel, "share"),
        (&touching, Some(&other), subvoxel, "shape"),
        (&touching, None, voxel, "no bone mask"),
        (&touching, None, subvoxel, "no femoral condyle"),
        (&touching, Some(&low), wide, "outside 0–5 mm"),
        (&none, None, subvoxel, "the cartilage mask is empty"),
    ];
    for (cartilage, bone, settings, text) in cases {
        let error = thickness::measure(cartilage, bone, &settings).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn cartilage_of_one_voxel_or_one_layer_is_measured_or_warned_about() {
    let grid = grid([4.0; 3], 0.0);
    let bone = mask(grid, |p| p[2] < 0.0);
    let floor = bone.indices().iter().map(|&i| grid.voxel(i)[2]).max().unwrap() + 1;
    let layer = Mask::new(Volume::from_fn(grid, |i| grid.voxel(i)[2] == floor));
    let settings = Settings::default();
    let thickness = thickness::measure(&layer, Some(&bone), &settings).unwrap();
    assert!((thickness.summary.mean_mm - SPACING_MM[2]).abs() < 0.05, "{:?}", thickness.summary);

    let one = Mask::from_indices(grid, &[grid.index([10, 9, floor])]).unwrap();
    for method in [Method::Subvoxel, Method::Voxel] {
        let settings = Settings { method, ..settings };
        let thickness = thickness::measure(&one, Some(&bone), &settings).unwrap();
        assert!(thickness.points.is_empty() && thickness.summary.mean_mm.is_nan());
        assert!(thickness.warnings.contains(&Warning::AllAtRim));
        assert!(thickness.map().voxels().iter().all(|&value| value.to_bits() == 0));
    }
    let error = thickness::measure(&one, None, &settings).unwrap_err();
    assert!(error.hint_text().unwrap().contains("label of the bone"));

    let flat = Grid::new([9, 9, 1], *grid.affine()).unwrap();
    let [cartilage, bone] = [4, 3].map(|row| Mask::new(Volume::from_fn(flat, |i| i / 9 == row)));
    let error = thickness::measure(&cartilage, Some(&bone), &settings).unwrap_err();
    assert!(error.to_string().contains("at least two voxels"), "{error}");
    let sheared = Affine::new([[1.0, 0.2, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
    let full = Mask::full(Grid::new([4; 3], sheared.unwrap()).unwrap());
    let error = thickness::measure(&full, None, &settings).unwrap_err();
    assert!(error.to_string().contains("orthogonal"), "{error}");
}

#[test]
fn a_stray_piece_of_cartilage_is_left_out_and_reported() {
    let grid = grid([6.0; 3], 0.0);
    let bone = mask(grid, |p| p[2] < -2.0);
    let layer = |p: [f64; 3]| (-2.0..0.0).contains(&p[2]);
    let stray = |p: [f64; 3]| p[2] > 4.0 && p[0] < -4.0;
    let alone = thickness::measure(&mask(grid, layer), Some(&bone), &Settings::default()).unwrap();
    let with_stray = mask(grid, |p| layer(p) || stray(p));
    let n_stray = mask(grid, stray).len();
    let thickness = thickness::measure(&with_stray, Some(&bone), &Settings::default()).unwrap();
    assert_eq!(thickness.warnings, [Warning::Detached(n_stray)]);
    assert_eq!(thickness.summary.mean_mm.to_bits(), alone.summary.mean_mm.to_bits());
}

#[test]
fn a_gap_between_the_labels_is_warned_about() {
    let grid = grid([6.0; 3], 0.0);
    let bone = mask(grid, |p| p[2] < if p[0] < -2.0 { -2.0 } else { -5.0 });
    let cartilage = mask(grid, |p| (-2.0..0.0).contains(&p[2]));
    let thickness = thickness::measure(&cartilage, Some(&bone), &Settings::default()).unwrap();
    assert_eq!(thickness.warnings, [Warning::SmallInterface]);
}

#[test]
fn thickness_is_the_same_for_every_number_of_threads() {
    let (cartilage, bone) = slab(2.0, 30.0);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let measure = || thickness::measure(&cartilage, Some(&bone), &Settings::default()).unwrap();
        format!("{:?}", pool.install(measure))
    };
    let one = with(1);
    assert!([2, 3, 8].iter().all(|&threads| with(threads) == one));
}

/// A gzipped single-file NIfTI-1 label map of 8-bit integers with an sform, which is all this test
/// needs.
fn read_labels(path: &Path) -> Volume<u8> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    let short = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let float = |at: usize| {
        f64::from(f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]))
    };
    assert_eq!((short(0), short(40), short(70)), (348, 3, 2), "little endian, 3-D, uint8");
    assert!(short(254) > 0, "an sform");
    let shape = [42, 44, 46].map(|at| short(at) as usize);
    let row = |at: usize| [0, 4, 8, 12].map(|column| float(at + column));
    let affine = Affine::new([row(280), row(296), row(312)]).unwrap();
    let start = float(108) as usize;
    let grid = Grid::new(shape, affine).unwrap();
    Volume::new(grid, bytes[start..start + grid.n_voxels()].to_vec()).unwrap()
}

/// Labels of a real knee and the folder of reference values; `None` without validation data.
pub(crate) fn knee(test: &str) -> Option<(Volume<u8>, PathBuf)> {
    let folder = shared_data::folder(test)?.join("cartilage/right_knee_example");
    Some((read_labels(&folder.join("right_knee_example_labels.nii.gz")), folder.join("reference")))
}

pub(crate) fn label(labels: &Volume<u8>, value: u8) -> Mask {
    Mask::new(labels.map(|&label| label == value))
}

#[test]
fn distances_in_a_real_knee_are_those_of_scipy() {
    let Some((labels, reference)) = knee("distance transform of a knee") else { return };
    let outside = Mask::new(labels.map(|&label| label != 1));
    let distances = thickness::distance_transform(&outside).unwrap();
    let samples = std::fs::read_to_string(reference.join("edt_samples.csv")).unwrap();
    let mut n = 0;
    for line in samples.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let voxel = [0, 1, 2].map(|axis| cells[axis].parse::<usize>().unwrap());
        let scipy: f64 = cells[3].parse().unwrap();
        let ours = f64::from(distances.voxels()[labels.grid().index(voxel)]);
        // Single precision of ours and of the spacing in the header.
        assert!((ours - scipy).abs() < 1e-6, "{voxel:?}: {ours} {scipy}");
        n += 1;
    }
    assert_eq!(n, 2_000);
    let cartilage = label(&labels, 1);
    let (mut sum, mut largest) = (0.0, 0.0_f64);
    for &index in cartilage.indices() {
        let distance = f64::from(distances.voxels()[index]);
        sum += distance;
        largest = largest.max(distance);
    }
    assert!((sum / cartilage.len() as f64 - 0.774_326_906).abs() < 1e-6);
    assert!((largest - 2.305_827_523).abs() < 1e-6);
}

/// `thickness_summary.json`, `bone_interface_to_outside`: cartilage voxels that share a face with
/// bone, to the nearest voxel that is neither.
#[test]
fn bone_to_outside_of_a_real_knee_is_that_of_scipy() {
    let Some((labels, _)) = knee("bone to outside of a knee") else { return };
    let grid = *labels.grid();
    let outside = Mask::new(labels.map(|&label| label != 1 && label != 5));
    let distances = thickness::distance_transform(&outside).unwrap();
    let cartilage = label(&labels, 1);
    let at_bone = |index: usize| {
        let [i, j, k] = grid.voxel(index);
        [[i - 1, j, k], [i + 1, j, k], [i, j - 1, k], [i, j + 1, k], [i, j, k - 1], [i, j, k + 1]]
            .iter()
            .any(|&voxel| labels.voxels()[grid.index(voxel)] == 5)
    };
    let values: Vec<f64> = cartilage
        .indices()
        .iter()
        .filter(|&&index| at_bone(index))
        .map(|&index| f64::from(distances.voxels()[index]))
        .collect();
    assert_eq!(values.len(), 23_620);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!((mean - 2.035_175_433).abs() < 1e-6, "{mean}");
}

/// Under our definition the femoral cartilage has 2.27 mm, between the other definitions of one
/// knee: 2.035 (voxels, bone to outside), 2.250 (ray casting), 2.384 and 2.553 (twice the
/// distance on ridge and skeleton), 2.660 (largest sphere).
#[test]
fn a_real_knee_lies_between_the_other_definitions() {
    let Some((labels, _)) = knee("thickness of a knee") else { return };
    let (cartilage, bone) = (label(&labels, 1), label(&labels, 5));
    let thickness = thickness::measure(&cartilage, Some(&bone), &Settings::default()).unwrap();
    let summary = &thickness.summary;
    assert!((summary.volume_mm3 - 14_663.471).abs() < 0.01, "{}", summary.volume_mm3);
    assert!((2.035..2.384).contains(&summary.mean_mm), "{summary:?}");
    // Ray casting from the bone surface of other software: mean 2.250, median 2.320, SD 0.706.
    assert!((summary.mean_mm - 2.250).abs() < 0.05, "{summary:?}");
    assert!((summary.median_mm - 2.320).abs() < 0.05, "{summary:?}");
    assert!(thickness.warnings.is_empty(), "{:?}", thickness.warnings);
    let voxel = Settings { method: Method::Voxel, ..Settings::default() };
    let voxel = thickness::measure(&cartilage, Some(&bone), &voxel).unwrap().summary;
    let short_mm = summary.mean_mm - voxel.mean_mm;
    assert!((0.0..0.12).contains(&short_mm), "voxel centres fall short: {short_mm}");
    let alone = thickness::measure(&cartilage, None, &Settings::default()).unwrap().summary;
    assert!((alone.mean_mm - summary.mean_mm).abs() < 0.2, "{alone:?}");
}
