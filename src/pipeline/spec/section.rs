//! Typed access to one table of a pipeline.

use std::cell::RefCell;
use std::collections::BTreeSet;

use toml::{Table, Value};

use super::Problems;
use crate::error::Error;

/// Message of a key that nobody asked for; its place is the key, not the value.
pub(super) const UNKNOWN_KEY: &str = "unknown key";

/// One table; a table that was not written is empty. Remembers which keys were asked for, so that
/// [`Section::finish`] can name the others.
#[derive(Debug)]
pub struct Section<'a> {
    field: String,
    table: Option<&'a Table>,
    default: Option<Default<'a>>,
    known: RefCell<BTreeSet<&'static str>>,
    problems: &'a Problems,
}

/// The table that missing keys are taken from, and where it stands.
#[derive(Debug)]
struct Default<'a> {
    field: String,
    table: &'a Table,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a Table, problems: &'a Problems) -> Self {
        Self::new(String::new(), Some(table), problems)
    }

    fn new(field: String, table: Option<&'a Table>, problems: &'a Problems) -> Self {
        Self { field, table, default: None, known: RefCell::default(), problems }
    }

    /// Where problems with the values of this section go.
    pub fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// Field path of `key` in this section.
    pub fn field(&self, key: &str) -> String {
        if self.field.is_empty() { key.to_owned() } else { format!("{}.{key}", self.field) }
    }

    /// Whether the table was written.
    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Records a fault of `key`, at the table that `key` was taken from.
    pub fn refuse(&self, key: &str, error: Error) {
        let name = key.split('[').next().unwrap_or(key);
        let is_own = self.table.is_some_and(|table| table.contains_key(name));
        let default = self.default.as_ref().filter(|default| default.table.contains_key(name));
        let field = match default {
            Some(default) if !is_own => format!("{}.{key}", default.field),
            _ => self.field(key),
        };
        self.problems.push(error.at_field(field));
    }

    /// Counts `keys` as known although they are not asked for here.
    pub fn know(&self, keys: &[&'static str]) {
        self.known.borrow_mut().extend(keys);
    }

    fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.know(&[key]);
        let own = self.table.and_then(|table| table.get(key));
        own.or_else(|| self.default.as_ref().and_then(|default| default.table.get(key)))
    }

    fn typed<T>(
        &self,
        key: &'static str,
        needed: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let typed = read(value);
        if typed.is_none() {
            let text = format!("{needed} is needed, not the {} {value}", value.type_str());
            self.refuse(key, Error::value(text));
        }
        typed
    }

    /// A finite number, whole or not.
    pub fn number(&self, key: &'static str) -> Option<f64> {
        let number = self.typed(key, "a number", as_number)?;
        if !number.is_finite() {
            self.refuse(key, Error::value(format!("{number} is not a finite number")));
            return None;
        }
        Some(number)
    }

    /// A finite number in `low..=high`, or `default` where it is not written.
    pub fn number_within(&self, key: &'static str, default: f64, [low, high]: [f64; 2]) -> f64 {
        let Some(number) = self.number(key) else { return default };
        if low <= number && number <= high {
            return number;
        }
        self.refuse(key, Error::value(format!("{number} is not between {low} and {high}")));
        default
    }

    /// A whole number from 0.
    pub fn count(&self, key: &'static str) -> Option<u64> {
        self.typed(key, "a whole number from 0", |value| {
            value.as_integer().and_then(|integer| u64::try_from(integer).ok())
        })
    }

    /// True or false.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// Text, or `true` or `false` as text.
    pub fn flag_or_text(&self, key: &'static str) -> Option<String> {
        self.typed(key, "true, false or text", |value| match value {
            Value::Boolean(flag) => Some(flag.to_string()),
            other => other.as_str().map(str::to_owned),
        })
    }

    /// Text.
    pub fn text(&self, key: &'static str) -> Option<String> {
        self.typed(key, "text", |value| value.as_str().map(str::to_owned))
    }

    /// Text that must be written.
    pub fn required_text(&self, key: &'static str) -> Option<String> {
        let text = self.text(key);
        if text.is_none() && self.value(key).is_none() {
            self.refuse(key, Error::value("is missing and has no default"));
        }
        text
    }

    /// A list of finite numbers; a single number is a list of one.
    pub fn numbers(&self, key: &'static str) -> Option<Vec<f64>> {
        let numbers = self.typed(key, "a list of numbers", |value| match value {
            Value::Array(items) => items.iter().map(as_number).collect(),
            single => as_number(single).map(|number| vec![number]),
        })?;
        if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
            let error = Error::value(format!("{} is not a finite number", numbers[index]));
            self.refuse(&format!("{key}[{index}]"), error);
            return None;
        }
        Some(numbers)
    }

    /// A list of texts; a single text is a list of one.
    pub fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        self.typed(key, "a list of texts", |value| match value {
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            single => single.as_str().map(|text| vec![text.to_owned()]),
        })
    }

    /// One of the named `choices`, or `default` where it is not written.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text(key) else { return default };
        if let Some((_, chosen)) = choices.iter().find(|(name, _)| *name == text) {
            return *chosen;
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let error = Error::value(format!("`{text}` is not one of {}", names.join(", ")));
        self.refuse(key, suggest(error, &text, &names));
        default
    }

    /// The table under `key`; empty where it is not written.
    #[must_use]
    pub fn section(&self, key: &'static str) -> Self {
        let table = self.typed(key, "a table", Value::as_table);
        Self::new(self.field(key), table, self.problems)
    }

    /// The table under `key`, whose missing keys are taken from the table of the same name in
    /// `defaults`.
    #[must_use]
    pub fn section_with_defaults(&self, key: &'static str, defaults: &Self) -> Self {
        let mut section = self.section(key);
        let table = defaults.value(key).and_then(Value::as_table);
        section.default = table.map(|table| Default { field: defaults.field(key), table });
        section
    }

    /// The tables of the list under `key`.
    pub fn sections(&self, key: &'static str) -> Vec<Self> {
        let Some(items) = self.typed(key, "a list of tables", Value::as_array) else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let field = format!("{}[{index}]", self.field(key));
            match item.as_table() {
                Some(table) => sections.push(Self::new(field, Some(table), self.problems)),
                None => self.problems.push(Error::value("a table is needed").at_field(field)),
            }
        }
        sections
    }

    /// All entries as texts, for tables whose keys are free such as BIDS entities.
    pub fn free_texts(&self) -> Vec<(String, String)> {
        let entries = self.table.into_iter().flatten();
        let mut texts = Vec::new();
        for (key, value) in entries {
            match value {
                Value::String(text) => texts.push((key.clone(), text.clone())),
                Value::Integer(number) => texts.push((key.clone(), number.to_string())),
                other => self.refuse(
                    key,
                    Error::value(format!("text is needed, not the {} {other}", other.type_str())),
                ),
            }
        }
        texts
    }

    /// Refuses every key that nobody asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        let names: Vec<&str> = known.iter().copied().collect();
        for key in self.table.into_iter().flat_map(Table::keys) {
            if !known.contains(key.as_str()) {
                let error = suggest(Error::value(UNKNOWN_KEY), key, &names);
                self.problems.push(error.at_field(self.field(key)));
            }
        }
    }
}

fn as_number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64))
}

/// Adds "did you mean" where one of `names` is close to `text`.
fn suggest(error: Error, text: &str, names: &[&str]) -> Error {
    let closest = names.iter().map(|name| (distance(text, name), *name)).min();
    match closest {
        Some((distance, name)) if distance <= 1 + text.len() / 4 => {
            error.hint(format!("did you mean `{name}`?"))
        }
        _ if names.is_empty() => error,
        _ => error.hint(format!("known here: {}", names.join(", "))),
    }
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replace = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn numbers_may_be_whole_and_never_infinite() {
        let table: Table = "a = 2\nb = inf\nc = [1, nan]\nd = 7".parse().unwrap();
        let problems = Problems::default();
        let section = Section::root(&table, &problems);
        assert_eq!(section.number("a"), Some(2.0));
        assert_eq!(section.number("b"), None);
        assert_eq!(section.numbers("c"), None);
        assert!((section.number_within("d", 1.0, [0.0, 5.0]) - 1.0).abs() < 1e-15);
        let texts: Vec<String> = problems.0.into_inner().iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "`b`: inf is not a finite number",
                "`c[1]`: NaN is not a finite number",
                "`d`: 7 is not between 0 and 5"
            ]
        );
    }

    #[test]
    fn a_section_takes_missing_keys_from_its_defaults() {
        let table: Table = "[gate]\na = 1\nb = 2\n[[fit]]\n[fit.gate]\nb = 3\n".parse().unwrap();
        let problems = Problems::default();
        let root = Section::root(&table, &problems);
        let fits = root.sections("fit");
        let gate = fits[0].section_with_defaults("gate", &root);
        assert_eq!((gate.number("a"), gate.number("b")), (Some(1.0), Some(3.0)));
        assert!(problems.is_empty());
    }

    #[test]
    fn a_wrong_choice_lists_what_there_is() {
        let table: Table = "method = \"repaet\"".parse().unwrap();
        let problems = Problems::default();
        let section = Section::root(&table, &problems);
        assert_eq!(section.choice("method", &[("repeat", 1), ("residual", 2)], 2), 2);
        let error = &problems.0.into_inner()[0];
        assert_eq!(error.to_string(), "`method`: `repaet` is not one of repeat, residual");
        assert_eq!(error.hint_text(), Some("did you mean `repeat`?"));
    }
}
