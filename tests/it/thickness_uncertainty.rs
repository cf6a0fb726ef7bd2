//! Standard errors of thickness by label error: closed forms, and labels that are wrong in truth.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use biomarker::image::{Affine, Grid, Mask, Volume};
use biomarker::random::StreamKey;
use biomarker::thickness::{
    self, LabelError, Method, Settings, SmearedThickness, Thickness, measure, smear,
};

fn mask(grid: Grid, inside: impl Fn([f64; 3]) -> bool) -> Mask {
    Mask::new(Volume::from_fn(grid, |index| inside(grid.position_mm(index))))
}

/// A plate of cartilage of 2 mm that leaves the image on all sides.
fn plate(method: Method) -> Thickness {
    let spacing_mm = [1.0, 1.25, 0.5];
    let grid =
        Grid::new([31, 25, 16], Affine::from_spacing(spacing_mm, [0.0; 3]).unwrap()).unwrap();
    let bone = mask(grid, |p| p[2] < 2.75);
    let cartilage = mask(grid, |p| p[2] > 2.75 && p[2] < 4.75);
    let settings = Settings { method, ..Settings::default() };
    measure(&cartilage, Some(&bone), &settings).unwrap()
}

/// Mean over a side of `length_mm`, twice, of the correlation exp(−d²/2L²).
fn mean_correlation(length_mm: f64, correlation_mm: f64) -> f64 {
    use statrs::function::erf::erf;
    let ratio = correlation_mm / length_mm;
    let x = 0.5 / (ratio * ratio);
    std::f64::consts::TAU.sqrt() * ratio * erf(x.sqrt()) - 2.0 * ratio * ratio * (1.0 - (-x).exp())
}

/// Both surfaces of a plate move by independent fields of SD s: the thickness of a point has SD s√2, the
/// mean over a rectangle s√2 times the root of the mean correlation of its points.
#[test]
fn a_plate_has_the_standard_errors_of_the_closed_form() {
    let error = LabelError { pseudo_experiments: 400, sd_mm: 0.1, correlation_mm: 5.0 };
    for method in [Method::Subvoxel, Method::Normal] {
        let plate = plate(method);
        let smeared = smear(&plate, &error, StreamKey::new(1, "plate")).unwrap();
        let extent = |axis: usize| {
            let along = plate.points.iter().map(|point| point.position_mm[axis]);
            along.clone().fold(0.0, f64::max) - along.fold(f64::INFINITY, f64::min)
        };
        let of_point = 0.1 * 2.0_f64.sqrt();
        let of_mean =
            of_point * (mean_correlation(extent(0), 5.0) * mean_correlation(extent(1), 5.0)).sqrt();
        let found = smeared.standard_errors(&plate.points, |_| true);
        // Four standard errors of an SD of 400 draws, 4 / √800; 0.02 for the lattice of the field.
        let limit = 4.0 / 800.0_f64.sqrt() + 0.02;
        assert!((found.mean_mm / of_mean - 1.0).abs() < limit, "{found:?} {of_mean}");
        assert!(found.median_mm > 0.9 * of_mean && found.median_mm < 1.6 * of_mean, "{found:?}");
        let sds = smeared.point_sds_mm();
        let middle = sds.iter().sum::<f64>() / sds.len() as f64;
        assert_eq!(sds.len(), plate.points.len());
        // Points share draws: about 20 independent patches, so the mean SD is well known.
        assert!((middle / of_point - 1.0).abs() < 0.03, "{method:?}: {middle} {of_point}");
    }
}

#[test]
fn a_part_has_its_own_standard_errors_and_an_empty_one_none() {
    let error = LabelError { pseudo_experiments: 50, sd_mm: 0.1, correlation_mm: 5.0 };
    let plate = plate(Method::Subvoxel);
    let smeared = smear(&plate, &error, StreamKey::new(1, "plate")).unwrap();
    let whole = smeared.standard_errors(&plate.points, |_| true);
    let corner = smeared.standard_errors(&plate.points, |p| p.position_mm[0] < 6.0);
    assert!(corner.mean_mm > 1.3 * whole.mean_mm, "{corner:?} {whole:?}");
    let none = smeared.standard_errors(&plate.points, |_| false);
    assert!(none.mean_mm.is_nan() && none.median_mm.is_nan());
}

#[test]
fn what_cannot_be_smeared_is_refused() {
    let plate = plate(Method::Local);
    let fine = LabelError { pseudo_experiments: 9, sd_mm: 0.1, correlation_mm: 5.0 };
    let key = StreamKey::new(1, "plate");
    let error = smear(&plate, &fine, key).unwrap_err();
    assert_eq!(error.to_string(), "`uncertainty`: `local` has no pseudo-experiments");
    for (wrong, field) in [
        (LabelError { pseudo_experiments: 1, ..fine }, "pseudo_experiments"),
        (LabelError { sd_mm: 0.0, ..fine }, "sd_mm"),
        (LabelError { correlation_mm: f64::NAN, ..fine }, "correlation_mm"),
    ] {
        assert!(smear(&plate, &wrong, key).unwrap_err().to_string().contains(field));
    }
}

#[test]
fn standard_errors_are_the_same_for_every_number_of_threads() {
    let error = LabelError { pseudo_experiments: 20, sd_mm: 0.1, correlation_mm: 3.0 };
    let plate = plate(Method::Subvoxel);
    let run = |n_threads| -> SmearedThickness {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| smear(&plate, &error, StreamKey::new(5, "plate")).unwrap())
    };
    assert_eq!(run(1), run(3));
}

const BONE_MM: f64 = 10.0;
const TRUE_MM: f64 = 2.0;
const SD_MM: f64 = 0.2;
const CORRELATION_MM: f64 = 4.0;

/// A Gaussian random field by 100 random waves: another construction than that of the program.
struct Waves(Vec<[f64; 4]>);

impl Waves {
    fn draw(key: StreamKey, surface: usize, replicate: u32) -> Self {
        let mut stream = key.stream(surface, replicate);
        let mut wave = || {
            let k = [0; 3].map(|_: i32| stream.normal() / CORRELATION_MM);
            [k[0], k[1], k[2], std::f64::consts::TAU * stream.uniform()]
        };
        Self((0..100).map(|_| wave()).collect())
    }

    fn at(&self, p: [f64; 3]) -> f64 {
        let phase = |w: &[f64; 4]| w[0] * p[0] + w[1] * p[1] + w[2] * p[2] + w[3];
        let sum: f64 = self.0.iter().map(|wave| phase(wave).cos()).sum();
        SD_MM * sum * (2.0 / self.0.len() as f64).sqrt()
    }
}

/// A shell of 2 mm on a ball of 10 mm whose two surfaces were drawn wrong by random fields.
fn drawn_shell(fields: &[Waves; 2]) -> Thickness {
    let spacing_mm = [0.365, 0.456, 0.7];
    let shape = spacing_mm.map(|s| (27.0_f64 / s).ceil() as usize);
    let affine = Affine::from_spacing(spacing_mm, [-13.4, -13.4, -13.4]).unwrap();
    let grid = Grid::new(shape, affine).unwrap();
    let height = |p: [f64; 3], surface: usize, radius_mm: f64| {
        let r = (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]).sqrt();
        let is_near = (r - radius_mm).abs() < 6.0 * SD_MM;
        // The displacement belongs to the point of the surface below, not to the voxel.
        let below = p.map(|x| x * radius_mm / r);
        let by_mm = if is_near { fields[surface].at(below) } else { 0.0 };
        r - radius_mm - by_mm
    };
    let bone = mask(grid, |p| height(p, 0, BONE_MM) <= 0.0);
    let whole = mask(grid, |p| height(p, 1, BONE_MM + TRUE_MM) <= 0.0);
    let indices: Vec<usize> =
        whole.indices().iter().copied().filter(|&index| !bone.contains(index)).collect();
    let cartilage = Mask::from_indices(grid, &indices).unwrap();
    thickness::measure(&cartilage, Some(&bone), &Settings::default()).unwrap()
}

/// Sixty labels of one shell, each wrong by 0.2 mm over 4 mm: their means spread as the
/// pseudo-experiments of one of them say, and the true thickness lies within 1.96 standard errors of as
/// many as it should.
#[test]
fn labels_that_are_wrong_spread_as_their_standard_error_says() {
    let error =
        LabelError { pseudo_experiments: 150, sd_mm: SD_MM, correlation_mm: CORRELATION_MM };
    let key = StreamKey::new(20, "drawn");
    let n = 60;
    let means: Vec<[f64; 2]> = (0..n)
        .map(|replicate| {
            let fields = [0, 1].map(|surface| Waves::draw(key, surface, replicate));
            let summary = drawn_shell(&fields).summary;
            [summary.mean_mm, summary.median_mm]
        })
        .collect();
    let one = drawn_shell(&[0, 1].map(|surface| Waves::draw(key, surface, 999)));
    let stderr = smear(&one, &error, StreamKey::new(21, "smear")).unwrap();
    let stderr = stderr.standard_errors(&one.points, |_| true);
    for (which, stderr_mm) in [stderr.mean_mm, stderr.median_mm].into_iter().enumerate() {
        let values = || means.iter().map(|both| both[which]);
        let mean = values().sum::<f64>() / f64::from(n);
        let squares: f64 = values().map(|value| (value - mean).powi(2)).sum();
        let sd = (squares / f64::from(n - 1)).sqrt();
        // SDs of 60 and of 150 draws: √(1/120 + 1/300) = 11 % of their ratio, three times that.
        assert!((stderr_mm / sd - 1.0).abs() < 0.33, "{which}: {stderr_mm} {sd}");
        let covered = values().filter(|t| (t - TRUE_MM).abs() <= 1.96 * stderr_mm).count();
        // 95 % of 60 are 57; fewer than 50 come with probability 4e-4 if 95 % is right.
        assert!(covered >= 50, "{which}: {covered} of {n}, stderr {stderr_mm} mm, mean {mean}");
    }
}
