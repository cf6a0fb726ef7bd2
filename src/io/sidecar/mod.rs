//! JSON sidecars: what the scanner played out, read with care and written with less.
//!
//! Read: one object, several files merged by the inheritance principle, every value with the file
//! that it came from. Written: ordered keys, the same bytes every time, and of the keys of inputs
//! only those on [`COPIED_KEYS`].

mod fields;
mod written;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

pub(super) use fields::require_frame_times;
pub use written::{COPIED_KEYS, number, numbers, pending, write};

use super::text_file;
use crate::error::{Error, Result};

/// No sidecar is larger, bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The metadata of one image.
#[derive(Debug, Clone)]
pub struct Sidecar {
    /// What the metadata are of; named in errors about keys that no file has.
    image: PathBuf,
    values: BTreeMap<String, (Value, usize)>,
    files: Vec<PathBuf>,
    warnings: Vec<String>,
}

impl Sidecar {
    /// Reads one sidecar.
    ///
    /// # Errors
    ///
    /// `Missing` when there is no such file; `Format` when it is above 16 MiB, not UTF-8, or not one
    /// JSON object, with line and column.
    pub fn read(path: &Path) -> Result<Self> {
        Self::merged(path, vec![path.to_owned()])
    }

    /// Reads the sidecar with the image's own name, such as `t2.json` beside `t2.nii.gz`; empty
    /// where there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Sidecar::read`], but an absent file is none.
    pub fn beside(image: &Path) -> Result<Self> {
        let path = with_extension(image, ".json");
        Self::merged(image, if path.is_file() { vec![path] } else { Vec::new() })
    }

    /// Reads `files` in this order; a later file overrides the keys of the earlier ones, as the
    /// inheritance principle of BIDS asks for, from the dataset's root down to the image.
    ///
    /// # Errors
    ///
    /// Those of [`Sidecar::read`].
    pub fn merged(image: &Path, files: Vec<PathBuf>) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut warnings = Vec::new();
        for (index, path) in files.iter().enumerate() {
            let object = parse(path)?;
            for key in object.repeated {
                warnings.push(format!(
                    "{}: `{key}` stands more than once; the last one counts",
                    path.display()
                ));
            }
            values.extend(object.values.into_iter().map(|(key, value)| (key, (value, index))));
        }
        Ok(Self { image: image.to_owned(), values, files, warnings })
    }

    /// The value of a key; `None` where it is absent or null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).map(|(value, _)| value).filter(|value| !value.is_null())
    }

    /// The files that were read, from the root down.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What is odd but not wrong, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The file that gave `key`; the nearest sidecar or the image where none did.
    pub fn place_of(&self, key: &str) -> &Path {
        let index = self.values.get(key).map(|(_, index)| *index);
        index
            .and_then(|index| self.files.get(index))
            .or(self.files.last())
            .map_or(self.image.as_path(), PathBuf::as_path)
    }

    /// The error for a key that is needed and absent.
    pub fn missing(&self, key: &str, hint: &str) -> Error {
        let message = if self.files.is_empty() {
            "value is missing: the image has no sidecar"
        } else {
            "value is missing"
        };
        Error::value(message).at_field(key).at_path(self.place_of(key)).hint(hint)
    }
}

/// `image` with everything behind the first `.nii` replaced by `extension`.
pub fn with_extension(image: &Path, extension: &str) -> PathBuf {
    let name = image.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = name
        .strip_suffix(".nii.gz")
        .or_else(|| name.strip_suffix(".nii"))
        .or_else(|| name.split_once('.').map(|(stem, _)| stem))
        .unwrap_or(&name);
    image.with_file_name(format!("{stem}{extension}"))
}

fn parse(path: &Path) -> Result<Object> {
    let text = text_file::read(path, MAX_BYTES)?;
    serde_json::from_str(&text).map_err(|error| {
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(bare, _)| bare);
        Error::format(message)
            .at_path(path)
            .at_position(error.line(), error.column())
            .hint("the file holds one JSON object: {\"Name\": value, …}")
    })
}

/// A JSON object that remembers which keys were repeated.
struct Object {
    values: Map<String, Value>,
    repeated: Vec<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object { values: Map::new(), repeated: Vec::new() };
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if object.values.insert(key.clone(), value).is_some() {
                object.repeated.push(key);
            }
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::io::atomic;

    fn parsed(text: &str) -> Result<Sidecar> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        atomic::write(&path, text.as_bytes()).unwrap();
        Sidecar::read(&path)
    }

    #[test]
    fn a_repeated_key_is_a_warning_and_the_last_one_counts() {
        let sidecar = parsed(r#"{"EchoTime": 0.01, "FlipAngle": 15, "EchoTime": 0.02}"#).unwrap();
        assert_eq!(sidecar.get("EchoTime"), Some(&Value::from(0.02)));
        assert_eq!(sidecar.warnings().len(), 1);
        assert!(
            sidecar.warnings()[0]
                .ends_with("`EchoTime` stands more than once; the last one counts")
        );
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        let error = parsed("[0.01]").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert_eq!(error.message(), "invalid type: sequence, expected a JSON object");
        let error = parsed("{\"EchoTime\": 0.01,\n \"FlipAngle\": NaN}").unwrap_err();
        assert_eq!((error.message(), error.position()), ("expected value", Some((2, 15))));
        assert_eq!(parsed("").unwrap_err().message(), "EOF while parsing a value");
        assert_eq!(parsed("{} {}").unwrap_err().message(), "trailing characters");
        assert!(parsed(&"[".repeat(100_000)).is_err());
        assert_eq!(parsed(r#"{"EchoTime": 1e999}"#).unwrap_err().message(), "number out of range");
    }

    #[test]
    fn deeper_files_override_and_errors_name_the_file_that_spoke() {
        let folder = tempfile::tempdir().unwrap();
        let (root, near) =
            (folder.path().join("MESE.json"), folder.path().join("sub-01_MESE.json"));
        atomic::write(&root, br#"{"EchoTime": 0.01, "FlipAngle": 90}"#).unwrap();
        atomic::write(&near, br#"{"EchoTime": 0.02}"#).unwrap();
        let image = folder.path().join("sub-01_MESE.nii.gz");
        let sidecar = Sidecar::merged(&image, vec![root.clone(), near.clone()]).unwrap();
        assert_eq!(sidecar.get("EchoTime"), Some(&Value::from(0.02)));
        assert_eq!(sidecar.place_of("EchoTime"), near);
        assert_eq!(sidecar.place_of("FlipAngle"), root);
        assert_eq!(sidecar.place_of("VolumeTiming"), near);
        assert_eq!(Sidecar::beside(&image).unwrap().files(), [near]);
        let bare = Sidecar::beside(&folder.path().join("other.nii")).unwrap();
        let error = bare.missing("EchoTime", "add it");
        assert!(
            error
                .to_string()
                .ends_with("other.nii: `EchoTime`: value is missing: the image has no sidecar")
        );
    }

    #[test]
    fn null_is_absent() {
        assert_eq!(parsed(r#"{"EchoTime": null}"#).unwrap().get("EchoTime"), None);
    }

    #[test]
    fn only_the_ending_of_an_image_is_replaced() {
        let of = |name: &str| with_extension(Path::new(name), ".json");
        assert_eq!(of("x/a.v1.nii.gz"), Path::new("x/a.v1.json"));
        assert_eq!(of("a.nii"), Path::new("a.json"));
        assert_eq!(of("a.mgz"), Path::new("a.json"));
        assert_eq!(of("a"), Path::new("a.json"));
    }
}
