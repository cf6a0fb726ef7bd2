//! Writing sidecars, and which keys of inputs may be copied into outputs.

use std::path::Path;

use serde_json::{Map, Number, Value};

use super::Sidecar;
use crate::error::{Error, Result};
use crate::io::atomic;

/// The keys of inputs that may appear in outputs: how the signal was made, and nothing that could
/// point to a person, a place or a time. Free texts such as `SeriesDescription`, `ProtocolName` or
/// `ImageComments` are not among them, because names get typed into them.
pub const COPIED_KEYS: [&str; 27] = [
    "Manufacturer",
    "ManufacturersModelName",
    "MagneticFieldStrength",
    "MRAcquisitionType",
    "ScanningSequence",
    "SequenceVariant",
    "PulseSequenceType",
    "NonlinearGradientCorrection",
    "EchoTime",
    "EchoTimes",
    "EchoTrainLength",
    "InversionTime",
    "RepetitionTime",
    "RepetitionTimeExcitation",
    "RepetitionTimePreparation",
    "FlipAngle",
    "VolumeTiming",
    "FrameTimesStart",
    "NumberOfAverages",
    "PixelBandwidth",
    "DwellTime",
    "EffectiveEchoSpacing",
    "TotalReadoutTime",
    "PhaseEncodingDirection",
    "ParallelReductionFactorInPlane",
    "SliceThickness",
    "SpacingBetweenSlices",
];
/// No copied text is longer; names of makers, models and sequences are short.
const MAX_COPIED_CHARACTERS: usize = 64;

impl Sidecar {
    /// The keys that may be copied into an output, in the order of [`COPIED_KEYS`]. Objects, nested
    /// arrays, and texts that are long or hold a path are left out.
    pub fn copied(&self) -> Map<String, Value> {
        COPIED_KEYS
            .iter()
            .filter_map(|key| self.get(key).map(|value| ((*key).to_owned(), value)))
            .filter(|(_, value)| may_be_copied(value))
            .map(|(key, value)| (key, value.clone()))
            .collect()
    }
}

fn may_be_copied(value: &Value) -> bool {
    match value {
        Value::Array(items) => {
            items.iter().all(|item| !item.is_array() && may_be_copied(item)) && !items.is_empty()
        }
        Value::String(text) => {
            text.chars().count() <= MAX_COPIED_CHARACTERS && !text.contains(['/', '\\', '\n'])
        }
        Value::Number(_) | Value::Bool(_) => true,
        Value::Object(_) | Value::Null => false,
    }
}

/// A number for a sidecar.
///
/// # Errors
///
/// `Internal` when it is not finite: JSON has no word for that, and nobody may read a null as 0.
pub fn number(value: f64) -> Result<Value> {
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| Error::internal(format!("{value} cannot be written to a sidecar")))
}

/// An array of numbers for a sidecar.
///
/// # Errors
///
/// `Internal` when one is not finite.
pub fn numbers(values: &[f64]) -> Result<Value> {
    values.iter().map(|&value| number(value)).collect::<Result<Vec<_>>>().map(Value::Array)
}

/// Writes an object, indented by two, keys in their order, one line end at the end.
///
/// # Errors
///
/// Those of [`atomic::write`].
pub fn write(path: &Path, object: &Map<String, Value>) -> Result<()> {
    atomic::finish(vec![pending(path, object)?])
}

/// The same, without a name until [`atomic::finish`].
///
/// # Errors
///
/// Those of [`atomic::Pending`].
pub fn pending(path: &Path, object: &Map<String, Value>) -> Result<atomic::Pending> {
    let text = serde_json::to_string_pretty(object)
        .map_err(|error| Error::internal(error.to_string()).at_path(path))?;
    let mut pending = atomic::Pending::create(path)?;
    pending.append(format!("{text}\n").as_bytes())?;
    Ok(pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_keys_are_copied_and_only_plain_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let json = r#"{"PatientName": "Doe^Jane", "InstitutionName": "Hospital", "EchoTime": 0.01,
            "ProtocolName": "knee Doe", "AcquisitionDateTime": "2019-01-01", "StationName": "MR1",
            "Manufacturer": "Siemens", "SequenceVariant": "/home/jane/x", "FlipAngle": {"a": 1},
            "ScanningSequence": ["SE", "/data/doe"], "VolumeTiming": [0, 3.5]}"#;
        atomic::write(&path, json.as_bytes()).unwrap();
        let copied = Sidecar::read(&path).unwrap().copied();
        let text = serde_json::to_string(&copied).unwrap();
        assert_eq!(text, r#"{"Manufacturer":"Siemens","EchoTime":0.01,"VolumeTiming":[0,3.5]}"#);
    }

    #[test]
    fn no_copied_key_can_name_a_person_or_a_place() {
        for word in ["Patient", "Institution", "Station", "Date", "Serial", "Comment", "Protocol"] {
            assert!(COPIED_KEYS.iter().all(|key| !key.contains(word)), "{word}");
        }
    }

    #[test]
    fn the_bytes_keep_the_order_of_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let mut object = Map::new();
        object.insert("Units".into(), "s".into());
        object.insert("EchoTime".into(), numbers(&[0.01, 0.02]).unwrap());
        write(&path, &object).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "{\n  \"Units\": \"s\",\n  \"EchoTime\": [\n    0.01,\n    0.02\n  ]\n}\n"
        );
    }

    #[test]
    fn a_number_that_is_not_finite_is_never_written() {
        assert!(number(f64::NAN).is_err());
        assert!(numbers(&[1.0, f64::INFINITY]).is_err());
    }
}
