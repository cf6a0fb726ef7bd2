//! Small text files, read whole: a cap on the size, UTF-8, no byte-order mark.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Reads the text of `path`, at most `max_bytes`.
///
/// # Errors
///
/// `Missing` when it is not there, cannot be read or is no regular file; `Format` when it is larger
/// than the cap or not UTF-8, with the position of the first wrong byte.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<String> {
    let failed = |error: std::io::Error| Error::from_io(ErrorKind::Missing, path, &error);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(Error::new(ErrorKind::Missing, "not a regular file").at_path(path));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(Error::format(format!("file is larger than {max_bytes} bytes"))
            .at_path(path)
            .hint("is it the file you meant? text files of this kind are small"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.split(|&byte| byte == b'\n').count();
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        Error::format("text is not UTF-8")
            .at_path(path)
            .at_position(line, column)
            .hint("save the file as UTF-8")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::atomic;

    #[test]
    fn the_first_wrong_byte_is_named_by_line_and_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        atomic::write(&path, b"{\n\"a\": \"\xff\"}").unwrap();
        let error = read(&path, 100).unwrap_err();
        assert_eq!(error.position(), Some((2, 7)));
        assert_eq!(error.message(), "text is not UTF-8");
    }

    #[test]
    fn size_kind_and_absence_are_faults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bval");
        atomic::write(&path, "\u{feff}0 800".as_bytes()).unwrap();
        assert_eq!(read(&path, 8).unwrap(), "0 800");
        assert_eq!(read(&path, 7).unwrap_err().message(), "file is larger than 7 bytes");
        assert_eq!(read(folder.path(), 8).unwrap_err().message(), "not a regular file");
        let absent = read(&folder.path().join("b.bval"), 8).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::Missing);
    }
}
