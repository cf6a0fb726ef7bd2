//! Which files a folder holds, and which metadata apply to an image.

use std::fs;
use std::path::{Path, PathBuf};

use super::name::Name;
use crate::error::{Error, ErrorKind, Result};

/// No dataset nests deeper below a participant's folder.
const MAX_DEPTH: usize = 12;
/// Folder names that BIDS gives to kinds of data.
const DATATYPES: [&str; 12] =
    ["anat", "dwi", "perf", "fmap", "func", "pet", "mrs", "eeg", "meg", "ieeg", "micr", "beh"];

/// One file with a BIDS name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BidsFile {
    path: PathBuf,
    /// The dataset, raw or derivative, whose inherited metadata apply.
    root: PathBuf,
    name: Name,
    datatype: Option<String>,
    /// Whether it is a link to content that is not there.
    dangling: bool,
}

impl BidsFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is, from its dataset's root, as a `bids:` URI needs it.
    pub fn relative_path(&self) -> &Path {
        self.path.strip_prefix(&self.root).unwrap_or(&self.path)
    }

    /// Root of the dataset, raw or derivative, that it belongs to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The parts of its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Folder of the kind of data, such as `anat`; `None` where it lies in none.
    pub fn datatype(&self) -> Option<&str> {
        self.datatype.as_deref()
    }

    /// Passes when the content is there.
    pub(super) fn require_content(&self) -> Result<()> {
        if self.dangling {
            return Err(Error::new(ErrorKind::Missing, "link to content that is not here")
                .at_path(&self.path)
                .hint("get the content first, such as with `datalad get`"));
        }
        Ok(())
    }
}

/// Folders directly in `folder` whose names begin with `prefix`, by rising name.
pub(super) fn folders(folder: &Path, prefix: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (name, path) in entries(folder)? {
        if name.starts_with(prefix) && !name.starts_with('.') && path.is_dir() {
            names.push(name);
        }
    }
    Ok(names)
}

/// All files with BIDS names in `folder` and below, by rising path.
///
/// # Errors
///
/// `Missing` when a folder cannot be read; `Format` when links lead round in a circle.
pub(super) fn files(root: &Path, folder: &Path) -> Result<Vec<BidsFile>> {
    let mut found = Vec::new();
    walk(root, folder, &mut Vec::new(), &mut found)?;
    found.sort();
    Ok(found)
}

fn walk(
    root: &Path,
    folder: &Path,
    above: &mut Vec<PathBuf>,
    found: &mut Vec<BidsFile>,
) -> Result<()> {
    let real = folder.canonicalize().map_err(|error| unreadable(folder, &error))?;
    if above.contains(&real) || above.len() >= MAX_DEPTH {
        return Err(Error::format("links or folders lead round in a circle")
            .at_path(folder)
            .hint("remove the symbolic link that leads back to a folder above it"));
    }
    above.push(real);
    for (name, path) in entries(folder)? {
        if name.starts_with('.') {
            continue;
        }
        let dangling = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                walk(root, &path, above, found)?;
                continue;
            }
            Ok(_) => false,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(unreadable(&path, &error)),
        };
        if let Some(name) = Name::parse(&name) {
            let datatype = datatype_of(folder);
            let file = BidsFile { path, root: root.to_owned(), name, datatype, dangling };
            found.push(file);
        }
    }
    above.pop();
    Ok(())
}

/// The metadata files with `extension` that apply to `image`, from the dataset's root down.
///
/// # Errors
///
/// `Missing` when a folder cannot be read; `Mismatch` when several in one folder apply and none has
/// the image's own name.
pub(super) fn inherited(image: &BidsFile, extension: &str) -> Result<Vec<PathBuf>> {
    let mut levels: Vec<&Path> =
        image.path.ancestors().skip(1).take_while(|level| level.starts_with(&image.root)).collect();
    levels.reverse();
    let mut files = Vec::new();
    for level in levels {
        let mut applying: Vec<(Name, PathBuf)> = entries(level)?
            .into_iter()
            .filter_map(|(name, path)| Name::parse(&name).map(|name| (name, path)))
            .filter(|(name, _)| name.extension == extension && name.applies_to(&image.name))
            .collect();
        let own = applying.iter().position(|(name, _)| name.entities == image.name.entities);
        if let Some(own) = own {
            applying.swap(0, own);
        } else if let [(_, first), (_, second), ..] = applying.as_slice() {
            return Err(Error::mismatch(format!(
                "{} and {} both apply",
                first.display(),
                second.display()
            ))
            .at_path(&image.path)
            .hint("keep one file of metadata per folder, or name one like the image"));
        }
        files.extend(applying.into_iter().next().map(|(_, path)| path));
    }
    Ok(files)
}

fn datatype_of(folder: &Path) -> Option<String> {
    let name = folder.file_name()?.to_str()?;
    DATATYPES.contains(&name).then(|| name.to_owned())
}

/// Names and paths in a folder, by rising name; names that are not UTF-8 are no BIDS names.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |error: std::io::Error| unreadable(folder, &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::from_io(ErrorKind::Missing, path, error)
}
