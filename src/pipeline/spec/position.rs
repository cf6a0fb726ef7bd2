//! Field path → line and column.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Where every field of a TOML text stands: keys point to their value, unknown keys are found too.
pub(super) struct Positions(BTreeMap<String, (usize, usize)>);

impl Positions {
    /// Reads the places of all fields; none where `text` is not TOML.
    pub(super) fn of(text: &str) -> Self {
        let mut places = BTreeMap::new();
        if let Ok(table) = DeTable::parse(text) {
            collect(text, "", table.get_ref(), &mut places);
        }
        Self(places)
    }

    /// Line and column of the value of `field` (or of its key), else of the nearest table around.
    pub(super) fn find(&self, field: &str, key: bool) -> Option<(usize, usize)> {
        if key {
            return self.0.get(&format!("{field}#key")).copied();
        }
        let mut field = field;
        loop {
            if let Some(place) = self.0.get(field) {
                return Some(*place);
            }
            field = &field[..field.rfind(['.', '['])?];
        }
    }
}

/// Line and column, both from 1, of the start of `span`.
pub(super) fn line_and_column(text: &str, span: Option<Range<usize>>) -> (usize, usize) {
    let start = span.map_or(0, |span| span.start).min(text.len());
    let before = &text.as_bytes()[..start];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let line = 1 + String::from_utf8_lossy(before).matches('\n').count();
    let column = 1 + String::from_utf8_lossy(&before[line_start..]).chars().count();
    (line, column)
}

fn collect(
    text: &str,
    prefix: &str,
    table: &DeTable<'_>,
    places: &mut BTreeMap<String, (usize, usize)>,
) {
    for (key, value) in table {
        let name = key.get_ref();
        let field = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
        let at_value = line_and_column(text, Some(value.span()));
        let at_key = line_and_column(text, Some(key.span()));
        places.insert(format!("{field}#key"), at_key);
        places.insert(field.clone(), at_value);
        descend(text, &field, value.get_ref(), places);
    }
}

fn descend(
    text: &str,
    field: &str,
    value: &DeValue<'_>,
    places: &mut BTreeMap<String, (usize, usize)>,
) {
    match value {
        DeValue::Table(table) => collect(text, field, table, places),
        DeValue::Array(array) => {
            for (index, item) in array.iter().enumerate() {
                let field = format!("{field}[{index}]");
                places.insert(field.clone(), line_and_column(text, Some(item.span())));
                descend(text, &field, item.get_ref(), places);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_missing_ones_fall_back_to_their_table() {
        let positions = Positions::of("x = 1\n[[fit]]\nmodel = \"adc\"\n  bounds = [1, 2]\n");
        assert_eq!(positions.find("x", false), Some((1, 5)));
        assert_eq!(positions.find("fit[0].model", false), Some((3, 9)));
        assert_eq!(positions.find("fit[0].bounds[1]", false), Some((4, 16)));
        assert_eq!(positions.find("fit[0].missing", false), positions.find("fit[0]", false));
        assert_eq!(positions.find("x", true), Some((1, 1)));
        assert_eq!(positions.find("nowhere", false), None);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("é = 1\n", Some(3..4)), (1, 3));
        assert_eq!(line_and_column("", None), (1, 1));
    }
}
