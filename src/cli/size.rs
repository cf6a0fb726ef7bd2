//! Sizes as people type them.

/// Bytes of `8G`, `512M`, `1.5GiB` or a plain number; powers of 1024.
///
/// # Errors
///
/// A sentence for the command line when it is none of these.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim().trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" | "k" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(format!("`{unit}` is not K, M, G or T")),
    };
    let number: f64 = number.parse().map_err(|_| "a size such as 8G is needed".to_owned())?;
    let bytes = number * 1024_f64.powi(power);
    if (1.0..1e18).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err("a size above 0 is needed".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(parse_size("8G"), Ok(8 << 30));
        assert_eq!(parse_size("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_size("4096"), Ok(4096));
        for wrong in ["", "G", "-1G", "8X", "0"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
