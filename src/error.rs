//! The one error type: what is wrong, where it stands, which rule it breaks, and what to do.
//!
//! The innermost code knows the words; each caller adds its place with [`Error::at_field`] and
//! [`Error::at_path`]. A voxel that cannot be fitted is data
//! ([`FitStatus`](crate::model::FitStatus)), never an `Error`.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of fault it is; decides the exit code of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or folder that is needed is not there.
    Missing,
    /// The bytes are not what the format demands.
    Format,
    /// A value breaks its rule.
    Value,
    /// Two inputs that belong together disagree.
    Mismatch,
    /// The pipeline file is wrong.
    Configuration,
    /// The command line is wrong.
    Usage,
    /// The folder is not a BIDS dataset.
    NotBids,
    /// The filter selected nothing.
    NothingSelected,
    /// An output cannot be created.
    Create,
    /// An output cannot be written to the end.
    Write,
    /// Another run holds the output, or a signal came: run again.
    Temporary,
    /// A fault of the program itself.
    Internal,
}

impl ErrorKind {
    /// Exit code after sysexits and the BIDS execution specification.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NotBids => 16,
            Self::NothingSelected => 18,
            Self::Usage => 64,
            Self::Format | Self::Value | Self::Mismatch => 65,
            Self::Missing => 66,
            Self::Internal => 70,
            Self::Create => 73,
            Self::Write => 74,
            Self::Temporary => 75,
            Self::Configuration => 78,
        }
    }
}

/// One fault with its place and its remedy.
///
/// `Display` prints one line, `path: field: message`; the hint is kept apart so that the printer can
/// put it on a line of its own.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    field: Option<String>,
    path: Option<PathBuf>,
    position: Option<(usize, usize)>,
    hint: Option<String>,
}

impl Error {
    /// An error of `kind`; `message` is lower case, without full stop, with the value and the rule.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            field: None,
            path: None,
            position: None,
            hint: None,
        }))
    }

    /// A value that breaks its rule.
    pub fn value(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Value, message)
    }

    /// Bytes that are not what the format demands.
    pub fn format(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Format, message)
    }

    /// Two inputs that disagree.
    pub fn mismatch(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Mismatch, message)
    }

    /// A fault of the program itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Wraps an operating-system error met while reading or writing `path`.
    ///
    /// `NotFound` becomes [`ErrorKind::Missing`]; every other one keeps `kind`.
    pub fn from_io(kind: ErrorKind, path: &Path, error: &std::io::Error) -> Self {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let kind = if missing && kind == ErrorKind::Format { ErrorKind::Missing } else { kind };
        let message = if missing { "no such file or folder".into() } else { error.to_string() };
        Self::new(kind, message).at_path(path)
    }

    /// Puts `field` before what is known of the place: `"a"` then `"b"` reads `b.a`.
    #[must_use]
    pub fn at_field(mut self, field: impl AsRef<str>) -> Self {
        let outer = field.as_ref();
        self.0.field = Some(match self.0.field.take() {
            Some(inner) if inner.starts_with('[') => format!("{outer}{inner}"),
            Some(inner) => format!("{outer}.{inner}"),
            None => outer.to_owned(),
        });
        self
    }

    /// Names the file; the innermost name wins.
    #[must_use]
    pub fn at_path(mut self, path: impl AsRef<Path>) -> Self {
        self.0.path.get_or_insert_with(|| path.as_ref().to_owned());
        self
    }

    /// Adds the 1-based line and column in the named file.
    #[must_use]
    pub fn at_position(mut self, line: usize, column: usize) -> Self {
        self.0.position = Some((line, column));
        self
    }

    /// Adds what the user can do; the innermost hint wins.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The same fault under another kind, for a caller that knows better what it means.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The same fault of a field that the caller knows by another name.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// The same fault once more, for a place that keeps it and one that tells it.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(Box::new(self.0.as_ref().clone()))
    }

    /// What sort of fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong, without its place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The field path, such as `fit[0].t2_bounds_ms`.
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The file it stands in.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Line and column, both from 1.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.0.position
    }

    /// What the user can do.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.0.path {
            write!(f, "{}", path.display())?;
            if let Some((line, column)) = self.0.position {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": ")?;
        }
        if let Some(field) = &self.0.field {
            write!(f, "`{field}`: ")?;
        }
        write!(f, "{}", self.0.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_added_from_inside_out() {
        let error = Error::value("lower bound 0.2 is not below upper bound 0.1")
            .at_field("t2_bounds_s")
            .at_field("fit[0]")
            .at_path("pipelines/bad.toml")
            .at_position(7, 15);
        assert_eq!(
            error.to_string(),
            "pipelines/bad.toml:7:15: `fit[0].t2_bounds_s`: lower bound 0.2 is not below upper \
             bound 0.1"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_missing_input() {
        let io = std::io::Error::from(std::io::ErrorKind::NotFound);
        let error = Error::from_io(ErrorKind::Format, Path::new("a.nii"), &io);
        assert_eq!(error.kind().exit_code(), 66);
        assert_eq!(error.to_string(), "a.nii: no such file or folder");
    }

    #[test]
    fn every_kind_has_the_exit_code_of_the_interface() {
        let codes: Vec<u8> = [
            ErrorKind::NotBids,
            ErrorKind::NothingSelected,
            ErrorKind::Usage,
            ErrorKind::Value,
            ErrorKind::Missing,
            ErrorKind::Internal,
            ErrorKind::Create,
            ErrorKind::Write,
            ErrorKind::Temporary,
            ErrorKind::Configuration,
        ]
        .iter()
        .map(|kind| kind.exit_code())
        .collect();
        assert_eq!(codes, [16, 18, 64, 65, 66, 70, 73, 74, 75, 78]);
    }
}
