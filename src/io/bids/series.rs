//! Files of one series with their protocol: what was played out, matched by value.

use std::path::PathBuf;

use super::listing::{self, BidsFile};
use super::query::Query;
use super::visit::VisitFiles;
use crate::acquisition::{Diffusion, Dynamic, MultiEcho, Protocol, VariableFlipAngle};
use crate::error::{Error, ErrorKind, Result};
use crate::io::gradient_table::GradientTable;
use crate::io::sidecar::Sidecar;
use crate::unit::radians_from_degrees;

/// Numbers that stand in two places agree when they differ by less than this fraction.
const AGREEMENT: f64 = 1e-3;

/// What the pipeline says about the protocol; it wins over sidecars, but may not contradict them
/// where they speak of the same file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GivenProtocol {
    /// One per echo, s. For one file per echo, the n-th is that of `echo-n`.
    pub echo_times_s: Option<Vec<f64>>,
    /// One per frame, s.
    pub frame_times_s: Option<Vec<f64>>,
    /// Between excitations, s.
    pub repetition_time_s: Option<f64>,
    /// One, or one per volume, degrees. For one file per angle, the n-th is that of `flip-n`.
    pub flip_angles_deg: Option<Vec<f64>>,
    /// One per volume, s/mm².
    pub b_values_s_per_mm2: Option<Vec<f64>>,
}

/// The images of one series and what was played out for each volume.
#[derive(Debug, Clone)]
pub struct SeriesFiles {
    /// One 4-D image, or one 3-D image per volume in the order of the protocol.
    pub images: Vec<PathBuf>,
    /// What was played out, in the order of the volumes.
    pub protocol: Protocol,
    /// Metadata of each image.
    pub sidecars: Vec<Sidecar>,
    /// Diffusion direction of every volume, where a `.bvec` is there.
    pub directions: Option<Vec<[f64; 3]>>,
}

/// A quantity that changes from file to file of one series.
struct Varying {
    entity: &'static str,
    key: &'static str,
    given_field: &'static str,
    read: fn(&Sidecar) -> Result<Option<f64>>,
}

const ECHOES: Varying = Varying {
    entity: "echo",
    key: "EchoTime",
    given_field: "echo_times_s",
    read: Sidecar::echo_time_s,
};
const FLIP_ANGLES: Varying = Varying {
    entity: "flip",
    key: "FlipAngle",
    given_field: "flip_angles_deg",
    read: |sidecar| {
        Ok(sidecar.flip_angles_deg()?.and_then(|angles| match angles.as_slice() {
            [angle] => Some(*angle),
            _ => None,
        }))
    },
};

impl VisitFiles {
    /// Multi-echo spin echo: one `MESE` file per echo, sorted by the echo time of its sidecar, or
    /// one 4-D file with `EchoTime` as an array (or `EchoTimes`).
    ///
    /// # Errors
    ///
    /// `Missing` when nothing matches; `Mismatch` when the files are not one series, two echoes
    /// share a time, or `given` contradicts the sidecars or the number of files; `Value` when an
    /// echo time is absent or implausible.
    pub fn multi_echo(&self, query: &Query, given: &GivenProtocol) -> Result<SeriesFiles> {
        let given = given.echo_times_s.as_deref();
        let files = self.one_series(query, &ECHOES)?;
        let (files, sidecars, times) = if let [file] = files.as_slice() {
            let sidecar = self.sidecar(file)?;
            let times = match given {
                Some(times) => times.to_vec(),
                None => sidecar.echo_times_s()?.ok_or_else(|| {
                    sidecar.missing("EchoTime", "a 4-D file needs `EchoTime` as an array, s")
                })?,
            };
            (files, vec![sidecar], times)
        } else {
            self.by_value(files, &ECHOES, given)?
        };
        let place = |error: Error| error.at_path(self.folder());
        let protocol = Protocol::MultiEcho(MultiEcho::new(times).map_err(place)?);
        Ok(SeriesFiles { images: paths(&files), protocol, sidecars, directions: None })
    }

    /// Spoiled gradient echo at several flip angles: one `VFA` file per angle, sorted by the angle
    /// of its sidecar, or one 4-D file with `FlipAngle` as an array. The repetition time is
    /// `RepetitionTimeExcitation`, or `RepetitionTime` up to 0.2 s.
    ///
    /// # Errors
    ///
    /// As [`VisitFiles::multi_echo`]; `Mismatch` also when repetition times differ.
    pub fn variable_flip_angle(&self, query: &Query, given: &GivenProtocol) -> Result<SeriesFiles> {
        let angles = given.flip_angles_deg.as_deref();
        let files = self.one_series(query, &FLIP_ANGLES)?;
        let (files, sidecars, angles) = if let [file] = files.as_slice() {
            let sidecar = self.sidecar(file)?;
            let angles = match angles {
                Some(angles) => angles.to_vec(),
                None => sidecar.flip_angles_deg()?.ok_or_else(|| {
                    sidecar
                        .missing("FlipAngle", "a 4-D file needs `FlipAngle` as an array, degrees")
                })?,
            };
            (files, vec![sidecar], angles)
        } else {
            self.by_value(files, &FLIP_ANGLES, angles)?
        };
        let repetition_time_s = common_repetition_time(&sidecars, given.repetition_time_s)?;
        let radians = angles.into_iter().map(radians_from_degrees).collect();
        let protocol = VariableFlipAngle::new(radians, repetition_time_s)
            .map_err(|error| error.at_path(self.folder()))?;
        let protocol = Protocol::VariableFlipAngle(protocol);
        Ok(SeriesFiles { images: paths(&files), protocol, sidecars, directions: None })
    }

    /// Diffusion: one `dwi` file with its `.bval` and, where there is one, its `.bvec`; both may be
    /// inherited from a folder above.
    ///
    /// # Errors
    ///
    /// `Missing` when no image or no `.bval` is there; `Mismatch` when several images match; the
    /// faults of the gradient table.
    pub fn diffusion(&self, query: &Query, given: &GivenProtocol) -> Result<SeriesFiles> {
        let file = self.one(query)?;
        let bval = listing::inherited(file, ".bval")?.pop();
        let bvec = listing::inherited(file, ".bvec")?.pop();
        let (b_values, directions) = match (&given.b_values_s_per_mm2, bval) {
            (Some(b_values), _) => (b_values.clone(), None),
            (None, Some(bval)) => {
                let table = GradientTable::read(&bval, bvec.as_deref())?;
                (table.b_values_s_per_mm2, table.directions)
            }
            (None, None) => {
                return Err(Error::new(ErrorKind::Missing, "image has no .bval")
                    .at_path(file.path())
                    .hint("put the b-values beside the image, or give `b_values_s_per_mm2`"));
            }
        };
        let protocol = Diffusion::new(b_values).map_err(|error| error.at_path(file.path()))?;
        Ok(SeriesFiles {
            images: vec![file.path().to_owned()],
            protocol: Protocol::Diffusion(protocol),
            sidecars: vec![self.sidecar(file)?],
            directions,
        })
    }

    /// Dynamic contrast: one 4-D file with `VolumeTiming` or `FrameTimesStart`, one `FlipAngle`, and
    /// `RepetitionTimeExcitation` (or `RepetitionTime` up to 0.2 s). Where no file has the suffix
    /// of `query`, one with `desc-dce…` is taken. Frame times never come from `RepetitionTime`.
    ///
    /// # Errors
    ///
    /// `Missing` when nothing matches; `Mismatch` when several files match; `Value` when a field is
    /// absent or implausible.
    pub fn dynamic(&self, query: &Query, given: &GivenProtocol) -> Result<SeriesFiles> {
        let described = Query { suffix: "*".into(), ..query.clone() }.with_entity("desc", "dce*");
        let file = match self.optional(query)? {
            Some(file) => file,
            None => self.optional(&described)?.ok_or_else(|| self.none_found(query))?,
        };
        let sidecar = self.sidecar(file)?;
        let times = match &given.frame_times_s {
            Some(times) => times.clone(),
            None => sidecar.frame_times_s()?.ok_or_else(|| {
                sidecar.missing("VolumeTiming", "give the time of every frame in seconds")
            })?,
        };
        let from_sidecar = || sidecar.flip_angles_deg();
        let angles = given.flip_angles_deg.clone().map_or_else(from_sidecar, |a| Ok(Some(a)))?;
        let angle = match angles.as_deref() {
            Some([angle]) => *angle,
            Some(several) => {
                return Err(Error::value(format!("{} angles for one series", several.len()))
                    .at_field("FlipAngle")
                    .at_path(sidecar.place_of("FlipAngle")));
            }
            None => return Err(sidecar.missing("FlipAngle", "give the flip angle in degrees")),
        };
        let sidecars = vec![sidecar];
        let repetition_time_s = common_repetition_time(&sidecars, given.repetition_time_s)?;
        let protocol = Dynamic::new(times, repetition_time_s, radians_from_degrees(angle))
            .map_err(|error| error.at_path(file.path()))?;
        Ok(SeriesFiles {
            images: vec![file.path().to_owned()],
            protocol: Protocol::Dynamic(protocol),
            sidecars,
            directions: None,
        })
    }

    /// The files that match, which may differ in nothing but the varying entity.
    fn one_series(&self, query: &Query, varying: &Varying) -> Result<Vec<&BidsFile>> {
        let files = self.find(query);
        let Some(first) = files.first() else { return Err(self.none_found(query)) };
        let others = |file: &BidsFile| {
            let mut entities = file.name().entities.clone();
            let has = entities.remove(varying.entity).is_some();
            (entities, file.name().suffix.clone(), has)
        };
        if files.iter().any(|file| others(file) != others(first)) {
            return Err(self.ambiguous(query, &files, &[varying.entity]));
        }
        if files.len() > 1 && first.name().entity(varying.entity).is_none() {
            return Err(self.ambiguous(query, &files, &[]));
        }
        files.iter().try_for_each(|file| file.require_content())?;
        Ok(files)
    }

    /// Files, sidecars and values, sorted by value; no two are equal.
    fn by_value<'a>(
        &self,
        files: Vec<&'a BidsFile>,
        varying: &Varying,
        given: Option<&[f64]>,
    ) -> Result<(Vec<&'a BidsFile>, Vec<Sidecar>, Vec<f64>)> {
        if let Some(given) = given.filter(|given| given.len() != files.len()) {
            return Err(Error::mismatch(format!(
                "{} values but {} files were found",
                given.len(),
                files.len()
            ))
            .at_field(varying.given_field)
            .at_path(self.folder())
            .hint(format!("delete it to take {} from the sidecars", varying.key)));
        }
        let mut rows = Vec::with_capacity(files.len());
        for file in files {
            let sidecar = self.sidecar(file)?;
            let value = value_of(file, &sidecar, varying, given)?;
            rows.push((value, file, sidecar));
        }
        rows.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        for pair in rows.windows(2) {
            let [(low, first, _), (high, second, sidecar)] = pair else { continue };
            if agree(*low, *high) {
                return Err(Error::mismatch(format!(
                    "value {high} is that of {} too",
                    first.path().display()
                ))
                .at_field(varying.key)
                .at_path(sidecar.place_of(varying.key))
                .hint(format!(
                    "every {} has its own; look at {}",
                    varying.entity,
                    second.path().display()
                )));
            }
        }
        let mut sorted = (Vec::new(), Vec::new(), Vec::new());
        for (value, file, sidecar) in rows {
            sorted.0.push(file);
            sorted.1.push(sidecar);
            sorted.2.push(value);
        }
        Ok(sorted)
    }
}

/// The value of one file: that of its sidecar, or the given one by the number in its name.
fn value_of(
    file: &BidsFile,
    sidecar: &Sidecar,
    varying: &Varying,
    given: Option<&[f64]>,
) -> Result<f64> {
    let own = (varying.read)(sidecar)?;
    let Some(given) = given else {
        return own.ok_or_else(|| {
            let hint = format!("every file of the series needs one `{}`", varying.key);
            sidecar.missing(varying.key, &hint)
        });
    };
    let number = file.name().entity(varying.entity).and_then(|label| label.parse::<usize>().ok());
    let value = number.and_then(|n| given.get(n.checked_sub(1)?)).copied().ok_or_else(|| {
        Error::mismatch(format!("no value belongs to {}", file.path().display()))
            .at_field(varying.given_field)
            .hint(format!("the n-th value is that of `{}-n`, from 1", varying.entity))
    })?;
    match own {
        Some(own) if !agree(own, value) => {
            Err(Error::mismatch(format!("value {value} was given but the sidecar says {own}"))
                .at_field(varying.key)
                .at_path(sidecar.place_of(varying.key))
                .hint(format!("delete `{}` or correct the sidecar", varying.given_field)))
        }
        _ => Ok(value),
    }
}

fn common_repetition_time(sidecars: &[Sidecar], given: Option<f64>) -> Result<f64> {
    if let Some(given) = given {
        return Ok(given);
    }
    let mut common: Option<f64> = None;
    for sidecar in sidecars {
        let own = sidecar.repetition_time_excitation_s()?.ok_or_else(|| {
            let hint = "give the time between excitations in seconds";
            sidecar.missing("RepetitionTimeExcitation", hint)
        })?;
        if let Some(common) = common.filter(|common| !agree(*common, own)) {
            return Err(Error::mismatch(format!(
                "value {own} differs from {common} of another file"
            ))
            .at_field("RepetitionTimeExcitation")
            .at_path(sidecar.place_of("RepetitionTimeExcitation"))
            .hint("all volumes of one series share their repetition time"));
        }
        common.get_or_insert(own);
    }
    common.ok_or_else(|| Error::internal("a series without files has no repetition time"))
}

fn agree(a: f64, b: f64) -> bool {
    (a - b).abs() <= AGREEMENT * a.abs().max(b.abs())
}

fn paths(files: &[&BidsFile]) -> Vec<PathBuf> {
    files.iter().map(|file| file.path().to_owned()).collect()
}
