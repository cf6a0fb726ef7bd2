//! A pipeline file as it was written: typed access, every fault collected, nothing decided.
//!
//! [`Section`] hands out values and records what is wrong instead of stopping at the first fault;
//! [`Problems`] adds line and column at the end by reading the text a second time with spans, so
//! that no value carries its place around.

mod position;
mod section;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

pub use section::Section;

use crate::error::{Error, ErrorKind, Result};
use crate::io;

/// Everything that is wrong with one pipeline, in the order it was found.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Error>>);

impl Problems {
    /// Records a fault of the configuration.
    pub fn push(&self, error: Error) {
        self.0.borrow_mut().push(error.with_kind(ErrorKind::Configuration));
    }

    /// Keeps the value, or records why there is none.
    pub fn keep<T>(&self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

/// A pipeline as written.
#[derive(Debug)]
pub struct Spec {
    path: PathBuf,
    text: String,
    root: toml::Table,
}

impl Spec {
    /// Reads `path` and applies `overrides` such as `gate.maximum_uncertainty=0.2`.
    ///
    /// # Errors
    ///
    /// `Missing` when there is no such file, `Configuration` with line and column when it is not
    /// TOML or an override cannot be understood.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, Vec<Error>> {
        let text = io::text(path).map_err(|error| vec![error])?;
        Self::parse(path, text, overrides)
    }

    /// Reads `text` as if it stood in `path`.
    ///
    /// # Errors
    ///
    /// As [`Spec::read`].
    pub fn parse(path: &Path, text: String, overrides: &[String]) -> Result<Self, Vec<Error>> {
        let mut root: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let (line, column) = position::line_and_column(&text, error.span());
            let error = Error::new(ErrorKind::Configuration, error.message().replace('\n', ", "));
            vec![error.at_path(path).at_position(line, column)]
        })?;
        for change in overrides {
            set(&mut root, change).map_err(|error| vec![error])?;
        }
        Ok(Self { path: path.to_owned(), text, root })
    }

    /// The file it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole file as a section; `problems` collects what is wrong with it.
    pub fn section<'a>(&'a self, problems: &'a Problems) -> Section<'a> {
        Section::root(&self.root, problems)
    }

    /// The collected faults with file, line and column, in the order of the file.
    pub fn place(&self, problems: Problems) -> Vec<Error> {
        let positions = position::Positions::of(&self.text);
        let mut errors: Vec<Error> = problems
            .0
            .into_inner()
            .into_iter()
            .map(|error| {
                let unknown = error.message() == section::UNKNOWN_KEY;
                let position = error.field().and_then(|field| positions.find(field, unknown));
                let error = error.at_path(&self.path);
                match position {
                    Some((line, column)) => error.at_position(line, column),
                    None => error,
                }
            })
            .collect();
        errors.sort_by_key(Error::position);
        // A default that several fits take is one fault.
        errors.dedup_by_key(|error| error.to_string());
        errors
    }
}

/// Applies one `key.path=value`; a value that is not TOML is taken as text.
fn set(root: &mut toml::Table, change: &str) -> Result<()> {
    let refuse = |why: &str| {
        Error::new(ErrorKind::Usage, format!("`--set {change}`: {why}"))
            .hint("write --set gate.maximum_uncertainty=0.2")
    };
    let (key, value) = change.split_once('=').ok_or_else(|| refuse("there is no `=`"))?;
    let value = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or_else(|| refuse("no key"))?;
    let mut table = root;
    let mut parts = parts.into_iter();
    while let Some(part) = parts.next() {
        let entry = table.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::default()));
        table = match entry {
            toml::Value::Table(table) => table,
            toml::Value::Array(list) => {
                let name = parts.next().ok_or_else(|| refuse("the key is a list"))?;
                named(list, name).ok_or_else(|| refuse("nothing in the list has that name"))?
            }
            _ => return Err(refuse("the key is not a table")),
        };
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

/// The table of `list` whose `name`, or `model` where it has none, is `wanted`.
fn named<'a>(list: &'a mut [toml::Value], wanted: &str) -> Option<&'a mut toml::Table> {
    let name = |table: &toml::Table| {
        let name = table.get("name").or_else(|| table.get("model"));
        name.and_then(toml::Value::as_str) == Some(wanted)
    };
    list.iter_mut().filter_map(toml::Value::as_table_mut).find(|table| name(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        Spec::parse(Path::new("a.toml"), text.into(), &[]).unwrap()
    }

    #[test]
    fn broken_toml_is_placed() {
        let errors = Spec::parse(Path::new("a.toml"), "a = 1\nb = = 2\n".into(), &[]).unwrap_err();
        assert!(errors[0].to_string().starts_with("a.toml:2:5: "), "{}", errors[0]);
    }

    #[test]
    fn all_problems_come_at_once_in_the_order_of_the_file() {
        let spec = spec("[gate]\nmaximum_uncertanty = 0.1\n[noise]\nsigma = \"x\"\n");
        let problems = Problems::default();
        let root = spec.section(&problems);
        let noise = root.section("noise");
        assert_eq!(noise.number("sigma"), None);
        noise.finish();
        let gate = root.section("gate");
        assert_eq!(gate.number("maximum_uncertainty"), None);
        gate.finish();
        root.finish();
        let errors = spec.place(problems);
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "a.toml:2:1: `gate.maximum_uncertanty`: unknown key",
                "a.toml:4:9: `noise.sigma`: a number is needed, not the string \"x\"",
            ]
        );
        assert_eq!(errors[0].hint_text(), Some("did you mean `maximum_uncertainty`?"));
    }

    #[test]
    fn overrides_reach_into_tables_and_make_missing_ones() {
        let changes = ["gate.maximum=0.2", "new.name=knee", "list=[1, 2]"].map(String::from);
        let spec = Spec::parse(Path::new("a.toml"), "[gate]\nmaximum = 0.1".into(), &changes);
        let spec = spec.unwrap();
        let problems = Problems::default();
        let root = spec.section(&problems);
        assert_eq!(root.section("gate").number("maximum"), Some(0.2));
        assert_eq!(root.section("new").text("name").as_deref(), Some("knee"));
        assert_eq!(root.numbers("list"), Some(vec![1.0, 2.0]));
        let text = "[[fit]]\nname = \"a\"\n[[fit]]\nmodel = \"b\"\n";
        let changes = ["fit.a.gate.maximum=1", "fit.b.gate.maximum=2"].map(String::from);
        let spec = Spec::parse(Path::new("a.toml"), text.into(), &changes).unwrap();
        let root = spec.section(&problems);
        let fits = root.sections("fit");
        let maxima = fits.iter().map(|fit| fit.section("gate").number("maximum"));
        assert_eq!(maxima.collect::<Vec<_>>(), [Some(1.0), Some(2.0)]);
        for wrong in ["fit.a", "fit.c.gate=1", "fit.a.name.b=1"] {
            assert!(Spec::parse(Path::new("a.toml"), text.into(), &[wrong.into()]).is_err());
        }
        let wrong = ["gate".to_owned()];
        assert!(Spec::parse(Path::new("a.toml"), String::new(), &wrong).is_err());
    }
}
