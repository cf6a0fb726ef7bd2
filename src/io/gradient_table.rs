//! Lists of numbers beside an image: `.bval`, `.bvec`, echo times, frame times.
//!
//! Numbers stand apart by spaces, tabs, commas or line ends; lines that begin with `#` are comments.

use std::path::Path;

use super::text_file;
use crate::error::{Error, Result};

/// No list of numbers is larger, bytes.
const MAX_BYTES: u64 = 4 << 20;
/// Above it a b-value in s/mm² is not plausible.
const MAX_B_VALUE: f64 = 5_000.0;
/// Up to here a volume counts as unweighted, s/mm²; its direction may be NaN.
const MAX_UNWEIGHTED: f64 = 20.0;
/// Plausible echo times, ms.
const ECHO_TIMES_MS: [f64; 2] = [1.0, 500.0];

/// Diffusion weighting of every volume.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientTable {
    /// b-value of every volume, s/mm², in the order of the series.
    pub b_values_s_per_mm2: Vec<f64>,
    /// Direction of every volume as written, not normalised; zero for unweighted and trace images.
    /// `None` where there is no `.bvec`.
    pub directions: Option<Vec<[f64; 3]>>,
}

impl GradientTable {
    /// Reads a `.bval` and, where given, its `.bvec`.
    ///
    /// # Errors
    ///
    /// Those of [`read_b_values`] and [`read_directions`]; `Mismatch` when the counts differ or a
    /// weighted volume has a direction that is not a number.
    pub fn read(bval: &Path, bvec: Option<&Path>) -> Result<Self> {
        let b_values_s_per_mm2 = read_b_values(bval)?;
        let Some(bvec) = bvec else {
            return Ok(Self { b_values_s_per_mm2, directions: None });
        };
        let mut directions = read_directions(bvec)?;
        if directions.len() != b_values_s_per_mm2.len() {
            return Err(Error::mismatch(format!(
                "{} directions but {} b-values in {}",
                directions.len(),
                b_values_s_per_mm2.len(),
                bval.display()
            ))
            .at_path(bvec));
        }
        for (volume, (direction, b)) in directions.iter_mut().zip(&b_values_s_per_mm2).enumerate() {
            if direction.iter().all(|x| x.is_finite()) {
                continue;
            }
            if *b > MAX_UNWEIGHTED {
                return Err(Error::mismatch(format!(
                    "direction {direction:?} of volume {volume} is not a number although b = {b}"
                ))
                .at_path(bvec));
            }
            *direction = [0.0; 3];
        }
        Ok(Self { b_values_s_per_mm2, directions: Some(directions) })
    }
}

/// Reads b-values, s/mm²: one row or one column.
///
/// # Errors
///
/// `Format` when it is no list of numbers or has several rows of several columns; `Value` when a
/// b-value is not between 0 and 5000 s/mm². Line and column are named.
pub fn read_b_values(path: &Path) -> Result<Vec<f64>> {
    let rows = read_rows(path)?;
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    if rows.len() > 1 && n_columns > 1 {
        return Err(Error::format(format!(
            "{} rows of up to {n_columns} columns are not one list of b-values",
            rows.len()
        ))
        .at_path(path)
        .hint("is it the .bvec? b-values stand in one row or one column"));
    }
    let plausible = 0.0..=MAX_B_VALUE;
    for number in rows.iter().flatten() {
        if !plausible.contains(&number.value) {
            return Err(Error::value(format!(
                "b-value {} is not between 0 and {MAX_B_VALUE} s/mm²",
                number.value
            ))
            .at_path(path)
            .at_position(number.line, number.column)
            .hint("b-values are in s/mm²; a value in s/m² must be divided by 1e6"));
        }
    }
    Ok(rows.into_iter().flatten().map(|number| number.value).collect())
}

/// Reads directions: three rows of one column per volume (FSL), or one row of three per volume.
/// Three by three is taken as FSL writes it. NaN is allowed; all zero marks trace images.
///
/// # Errors
///
/// `Format` when it is no list of numbers, rows differ in length, or neither side is three.
pub fn read_directions(path: &Path) -> Result<Vec<[f64; 3]>> {
    let rows = read_rows(path)?;
    let n_columns = rows.first().map_or(0, Vec::len);
    if let Some(row) = rows.iter().find(|row| row.len() != n_columns) {
        let line = row.first().map_or(1, |number| number.line);
        return Err(Error::format(format!(
            "row has {} columns but the first has {n_columns}",
            row.len()
        ))
        .at_path(path)
        .at_position(line, 1));
    }
    if let [x, y, z] = rows.as_slice() {
        let columns = x.iter().zip(y).zip(z);
        return Ok(columns.map(|((x, y), z)| [x.value, y.value, z.value]).collect());
    }
    let directions: Option<Vec<[f64; 3]>> = rows
        .iter()
        .map(|row| match row.as_slice() {
            [x, y, z] => Some([x.value, y.value, z.value]),
            _ => None,
        })
        .collect();
    directions.ok_or_else(|| {
        Error::format(format!(
            "{} rows of {n_columns} columns are neither 3 rows nor 3 columns",
            rows.len()
        ))
        .at_path(path)
    })
}

/// Reads echo times in milliseconds; returns seconds, in the order of the file.
///
/// # Errors
///
/// `Format` when it is no list of numbers; `Value` when one is not between 1 and 500 ms.
pub fn read_echo_times_ms(path: &Path) -> Result<Vec<f64>> {
    let [low, high] = ECHO_TIMES_MS;
    let mut seconds = Vec::new();
    for number in read_rows(path)?.iter().flatten() {
        if !(low..=high).contains(&number.value) {
            let looks = if (low..=high).contains(&(number.value * 1e3)) {
                format!("{} looks like seconds: write {}", number.value, number.value * 1e3)
            } else {
                "echo times are in milliseconds here".to_owned()
            };
            return Err(Error::value(format!(
                "echo time {} is not between {low} and {high} ms",
                number.value
            ))
            .at_path(path)
            .at_position(number.line, number.column)
            .hint(looks));
        }
        seconds.push(crate::unit::seconds_from_ms(number.value));
    }
    Ok(seconds)
}

/// Reads frame times, s, in the order of the file; any origin.
///
/// # Errors
///
/// `Format` when it is no list of numbers; `Value` when a time is not finite, does not come after
/// the one before, or the step between frames looks like milliseconds.
pub fn read_frame_times_s(path: &Path) -> Result<Vec<f64>> {
    let times = read_numbers(path)?;
    super::sidecar::require_frame_times(&times).map_err(|error| error.at_path(path))?;
    Ok(times)
}

/// Reads a list of numbers in any arrangement, in reading order. NaN and infinity are refused.
///
/// # Errors
///
/// `Format` when there is no number or something else than numbers, with line and column.
pub fn read_numbers(path: &Path) -> Result<Vec<f64>> {
    let rows = read_rows(path)?;
    match rows.iter().flatten().find(|number| !number.value.is_finite()) {
        Some(number) => Err(Error::value(format!("{} is not a finite number", number.value))
            .at_path(path)
            .at_position(number.line, number.column)),
        None => Ok(rows.into_iter().flatten().map(|number| number.value).collect()),
    }
}

/// Reads a sampled curve, such as an arterial input: two columns, times and values; a first line of
/// column names is skipped.
///
/// # Errors
///
/// `Format` when a line holds something else than two numbers, `Value` when one is not finite, each
/// with line and column.
pub fn read_curve(path: &Path) -> Result<[Vec<f64>; 2]> {
    let text = text_file::read(path, MAX_BYTES)?;
    let mut lines = text.split_inclusive('\n');
    let names = lines.next().unwrap_or_default();
    let has_names = names.split(is_separator).all(|word| word.parse::<f64>().is_err());
    let marked = if has_names { format!("#{names}") } else { names.to_owned() };
    let rows = parse_rows(&(marked + &lines.collect::<String>()));
    let mut curve = [Vec::new(), Vec::new()];
    for row in rows.map_err(|error| error.at_path(path))? {
        let line = row.first().map_or(1, |number| number.line);
        let [time, value] = row.as_slice() else {
            return Err(Error::format(format!("{} numbers are not two columns", row.len()))
                .at_path(path)
                .at_position(line, 1)
                .hint("each line: time and value"));
        };
        for (column, number) in curve.iter_mut().zip([time, value]) {
            if !number.value.is_finite() {
                return Err(Error::value(format!("{} is not a finite number", number.value))
                    .at_path(path)
                    .at_position(number.line, number.column));
            }
            column.push(number.value);
        }
    }
    Ok(curve)
}

/// A number with its place, both from 1.
#[derive(Debug, Clone, Copy)]
struct Number {
    value: f64,
    line: usize,
    column: usize,
}

/// The numbers of every line that has any; at least one.
fn read_rows(path: &Path) -> Result<Vec<Vec<Number>>> {
    let text = text_file::read(path, MAX_BYTES)?;
    parse_rows(&text).map_err(|error| error.at_path(path))
}

fn parse_rows(text: &str) -> Result<Vec<Vec<Number>>> {
    let mut rows = Vec::new();
    for (line, content) in text.lines().enumerate() {
        if content.trim_start().starts_with('#') {
            continue;
        }
        let row = parse_line(line + 1, content)?;
        if !row.is_empty() {
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Err(Error::format("there is no number in the file"));
    }
    Ok(rows)
}

fn parse_line(line: usize, content: &str) -> Result<Vec<Number>> {
    let mut numbers = Vec::new();
    let mut column = 1;
    for word in content.split_inclusive(is_separator) {
        let bare = word.trim_end_matches(is_separator);
        if !bare.is_empty() {
            let value = bare.parse::<f64>().map_err(|_| {
                Error::format(format!("`{}` is not a number", shortened(bare)))
                    .at_position(line, column)
                    .hint("numbers have a decimal point and stand apart by spaces, tabs or commas")
            })?;
            numbers.push(Number { value, line, column });
        }
        column += word.chars().count();
    }
    Ok(numbers)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || c == ','
}

/// At most 40 characters, so that binary files do not flood the terminal.
fn shortened(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn with<T>(text: &str, read: impl Fn(&Path) -> Result<T>) -> Result<T> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        crate::io::atomic::write(&path, text.as_bytes()).unwrap();
        read(&path)
    }

    fn place(error: &Error) -> (usize, usize, String) {
        let (line, column) = error.position().unwrap_or_default();
        (line, column, error.message().to_owned())
    }

    #[test]
    fn b_values_are_read_however_they_are_set_apart() {
        for text in [
            "0 400 800\n",
            "0\t400\t800",
            "0, 400, 800 \r\n\r\n",
            "0\r\n400\r\n800\r\n",
            "0  400 8e2",
        ] {
            assert_eq!(with(text, read_b_values).unwrap(), [0.0, 400.0, 800.0], "{text:?}");
        }
    }

    #[test]
    fn b_values_that_cannot_be_are_named_by_line_and_column() {
        let error = with("0 400 -800", read_b_values).unwrap_err();
        assert_eq!(place(&error), (1, 7, "b-value -800 is not between 0 and 5000 s/mm²".into()));
        let error = with("0\n800000000\n", read_b_values).unwrap_err();
        assert_eq!(error.position(), Some((2, 1)));
        assert!(error.hint_text().unwrap().contains("s/m²"));
        assert!(with("0 nan", read_b_values).is_err());
        let error = with("0 400 eight", read_b_values).unwrap_err();
        assert_eq!(place(&error), (1, 7, "`eight` is not a number".into()));
        assert_eq!(error.kind(), ErrorKind::Format);
        let error = with(" \n# b\n", read_b_values).unwrap_err();
        assert_eq!(error.message(), "there is no number in the file");
    }

    #[test]
    fn a_bvec_given_as_bval_is_refused() {
        let error = with("0 1 0\n0 0 1\n0 0 0\n", read_b_values).unwrap_err();
        assert_eq!(error.message(), "3 rows of up to 3 columns are not one list of b-values");
        assert!(error.hint_text().unwrap().contains(".bvec"));
    }

    #[test]
    fn directions_are_read_lying_and_standing() {
        let expected = [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let lying = with("0 1 0 0\n0 0 1 0\n0 0 0 1\n", read_directions).unwrap();
        let standing = with("0 0 0\n1 0 0\n0 1 0\n0 0 1\n", read_directions).unwrap();
        assert_eq!(lying, expected);
        assert_eq!(standing, expected);
        assert_eq!(with("0 0\n0 0\n0 0", read_directions).unwrap(), [[0.0; 3]; 2]);
        let error = with("0 0 0\n0 0\n0 0 0\n", read_directions).unwrap_err();
        assert_eq!(place(&error), (2, 1, "row has 2 columns but the first has 3".into()));
        let error = with("0 0\n0 0\n", read_directions).unwrap_err();
        assert_eq!(error.message(), "2 rows of 2 columns are neither 3 rows nor 3 columns");
    }

    #[test]
    fn directions_belong_to_the_b_values() {
        let folder = tempfile::tempdir().unwrap();
        let (bval, bvec) = (folder.path().join("a.bval"), folder.path().join("a.bvec"));
        let set = |b: &str, v: &str| {
            crate::io::atomic::write(&bval, b.as_bytes()).unwrap();
            crate::io::atomic::write(&bvec, v.as_bytes()).unwrap();
            GradientTable::read(&bval, Some(&bvec))
        };
        let table = set("0 800", "nan 1\nnan 0\nnan 0\n").unwrap();
        assert_eq!(table.directions.unwrap(), [[0.0; 3], [1.0, 0.0, 0.0]]);
        let error = set("0 800 800", "0 1\n0 0\n0 0\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch);
        assert!(error.message().starts_with("2 directions but 3 b-values in "));
        let error = set("0 800", "0 nan\n0 nan\n0 nan\n").unwrap_err();
        assert!(error.message().ends_with("of volume 1 is not a number although b = 800"));
        assert_eq!(GradientTable::read(&bval, None).unwrap().directions, None);
    }

    #[test]
    fn echo_times_in_seconds_are_refused_with_the_fix() {
        let times = with("# echo times, ms\n6.312,12.624\n", read_echo_times_ms).unwrap();
        assert_eq!(times, [0.006_312, 0.012_624]);
        let error = with("0.01 0.02", read_echo_times_ms).unwrap_err();
        assert_eq!(error.message(), "echo time 0.01 is not between 1 and 500 ms");
        assert_eq!(error.hint_text(), Some("0.01 looks like seconds: write 10"));
    }

    #[test]
    fn curves_have_two_columns_with_or_without_names() {
        let expected = [vec![0.0, 16.43], vec![0.0, 0.0009]];
        for text in
            ["t_s,Cp_mM\n0,0\n16.43,0.0009\n", "# artery\n0 0\n16.43\t9e-4", "0,0\n16.43,9e-4\n"]
        {
            assert_eq!(with(text, read_curve).unwrap(), expected, "{text:?}");
        }
        let error = with("t_s,Cp_mM\n0,0\n16.43\n", read_curve).unwrap_err();
        assert_eq!(place(&error), (3, 1, "1 numbers are not two columns".into()));
        let error = with("t_s,Cp_mM\n0,0\n16.43,high\n", read_curve).unwrap_err();
        assert_eq!(place(&error), (3, 7, "`high` is not a number".into()));
        assert_eq!(with("0,0\n1,nan\n", read_curve).unwrap_err().position(), Some((2, 3)));
        assert!(with("t_s,Cp_mM\n", read_curve).is_err() && with("", read_curve).is_err());
    }

    #[test]
    fn frame_times_must_rise_and_be_seconds() {
        assert_eq!(with("0 3 6.5", read_frame_times_s).unwrap(), [0.0, 3.0, 6.5]);
        assert!(with("0 3 3", read_frame_times_s).is_err());
        assert!(with("0 inf", read_frame_times_s).is_err());
        let error = with("0 3000 6000", read_frame_times_s).unwrap_err();
        assert!(error.hint_text().unwrap().contains("milliseconds"));
    }
}
