//! What went into one fit, said for people.

use super::shown;
use crate::acquisition::Protocol;
use crate::image::Grid;
use crate::pipeline::plan::T10;
use crate::pipeline::rows;
use crate::pipeline::session::{FitResult, SessionResult, ThicknessResult};
use crate::report::Facts;

/// Files, grid, acquisition, noise level and arrival of one fit.
pub(super) fn of_fit(result: &SessionResult<'_>, fit: &FitResult<'_>, title: String) -> Facts {
    let item = fit.item;
    let images: Vec<String> =
        item.source.images.iter().map(|path| result.item.relative(path)).collect();
    let n_region = fit.voxels.gate.n_voxels();
    let volume = format!("{n_region} voxels, {} mL", shown(fit.voxels.fits.mask.volume_ml()));
    let region = match &item.region {
        Some(path) => format!("{}; on this grid {volume}", result.item.relative(path)),
        None => format!("the whole image, {volume}"),
    };
    let mut pairs = vec![
        ("series".to_owned(), joined(&images)),
        ("grid".into(), grid(fit.header.grid())),
        ("acquisition".into(), acquisition(&fit.protocol)),
        ("region".into(), region),
    ];
    pairs.extend(t10(result, fit).map(|text| ("T10".into(), text)));
    pairs.extend(noise_level(fit).map(|text| ("noise level".into(), text)));
    pairs.extend(arrival(fit).map(|text| ("arrival of the bolus".into(), text)));
    Facts { title, pairs }
}

fn noise_level(fit: &FitResult<'_>) -> Option<String> {
    let estimate = fit.voxels.noise.as_ref()?;
    let noise = estimate.level;
    let others = estimate.others.iter().map(|other| {
        format!("; {} by {}", shown(other.sigma()), other.method().name().replace('_', " "))
    });
    let others: String = others.collect();
    let snr0 = Some(fit.voxels.snr0).filter(|snr| snr.is_finite());
    let snr0 =
        snr0.map_or_else(String::new, |snr| format!("; median amplitude over σ {}", shown(snr)));
    Some(format!(
        "σ = {} a.u. by {} from {} voxels{others}{snr0}",
        shown(noise.sigma()),
        noise.method().name().replace('_', " "),
        noise.n_voxels()
    ))
}

fn arrival(fit: &FitResult<'_>) -> Option<String> {
    let arrival = fit.voxels.arrival?;
    Some(format!(
        "{:.2} s by {}, {} baseline frames",
        arrival.time_s(),
        arrival.method().name().replace('_', " "),
        arrival.n_baseline_frames()
    ))
}

/// File and grid of one label image.
pub(super) fn of_thickness(result: &SessionResult<'_>, own: &ThicknessResult<'_>) -> Facts {
    let definition = own.thickness.method.name().replace('_', " ");
    Facts {
        title: format!("thickness · {}", rows::thickness_region(own).replace('_', " ")),
        pairs: vec![
            ("labels".into(), result.item.relative(&own.item.labels)),
            ("grid".into(), grid(own.cartilage.grid())),
            ("definition".into(), definition),
        ],
    }
}

fn t10(result: &SessionResult<'_>, fit: &FitResult<'_>) -> Option<String> {
    match (&fit.plan.dynamic.as_ref()?.t10, &fit.item.t10_map) {
        (_, Some(path)) => Some(result.item.relative(path)),
        (T10::ValueMs(value), None) => Some(format!("{} ms everywhere", shown(*value))),
        (T10::Map(_) | T10::Unknown, None) => None,
    }
}

fn grid(grid: &Grid) -> String {
    let [nx, ny, nz] = grid.shape();
    let [dx, dy, dz] = grid.affine().spacing_mm().map(shown);
    format!("{nx} × {ny} × {nz} voxels of {dx} × {dy} × {dz} mm")
}

/// File names that differ in one place only are written once: `…_echo-{1, 2}_MESE.nii.gz`.
fn joined(names: &[String]) -> String {
    let [first, .., _] = names else { return names.concat() };
    let is_digit = |letter: char| letter.is_ascii_digit();
    let start = common(names.iter().map(|name| name.chars().collect()), first);
    let start = first[..start].trim_end_matches(is_digit).len();
    let rest: Vec<&str> = names.iter().map(|name| &name[start..]).collect();
    let reversed = |text: &str| text.chars().rev().collect::<Vec<char>>();
    let from_end = reversed(rest[0]).into_iter().collect::<String>();
    let end = common(rest.iter().map(|text| reversed(text)), &from_end);
    let end = rest[0][rest[0].len() - end..].trim_start_matches(is_digit).len();
    let middles: Vec<&str> = rest.iter().map(|text| &text[..text.len() - end]).collect();
    let (before, after) = (&first[..start], &rest[0][rest[0].len() - end..]);
    format!("{before}{{{}}}{after}", middles.join(", "))
}

/// Bytes of `first` that all texts begin with.
fn common(texts: impl Iterator<Item = Vec<char>>, first: &str) -> usize {
    let shared = texts.fold(first.chars().count(), |shared, text| {
        let same = first.chars().zip(&text).take_while(|(a, b)| a == *b).count();
        same.min(shared)
    });
    first.chars().take(shared).map(char::len_utf8).sum()
}

fn acquisition(protocol: &Protocol) -> String {
    let list = |values: &[f64], factor: f64| {
        let texts: Vec<String> = values.iter().map(|value| shown(value * factor)).collect();
        texts.join(", ")
    };
    match protocol {
        Protocol::Diffusion(p) => format!("b = {} s/mm²", list(p.b_values_s_per_mm2(), 1.0)),
        Protocol::MultiEcho(p) => format!("echo times {} ms", list(p.echo_times_s(), 1e3)),
        Protocol::Dynamic(p) => format!(
            "{} frames, TR {} ms, flip angle {}°",
            p.frame_times_s().len(),
            shown(p.repetition_time_s() * 1e3),
            shown(p.flip_angle_rad().to_degrees())
        ),
        Protocol::VariableFlipAngle(p) => format!(
            "TR {} ms, flip angles {}°",
            shown(p.repetition_time_s() * 1e3),
            list(p.flip_angles_rad(), 180.0 / std::f64::consts::PI)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined_of(names: &[&str]) -> String {
        joined(&names.iter().map(|&name| name.to_owned()).collect::<Vec<String>>())
    }

    #[test]
    fn echoes_are_written_as_one_name() {
        let names = ["anat/sub-01_echo-1_MESE.nii.gz", "anat/sub-01_echo-12_MESE.nii.gz"];
        assert_eq!(joined_of(&names), "anat/sub-01_echo-{1, 12}_MESE.nii.gz");
        let names = ["sub-01_echo-1_MESE.nii", "sub-01_echo-2_MESE.nii", "sub-01_echo-3_MESE.nii"];
        assert_eq!(joined_of(&names), "sub-01_echo-{1, 2, 3}_MESE.nii");
        assert_eq!(joined_of(&["dwi.nii"]), "dwi.nii");
        assert_eq!(joined_of(&["ä.nii", "ö.nii"]), "{ä, ö}.nii");
        assert_eq!(joined_of(&[]), "");
    }
}
