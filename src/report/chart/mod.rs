//! Charts as SVG text: axes with round ticks, units, and a tooltip on every mark.

mod axis;
mod bar;
mod dots;
mod histogram;
mod pairs;

pub(super) use bar::{colour_bar, legend};
pub(super) use dots::dots;
pub(super) use histogram::histogram;
pub(super) use pairs::pairs;

use std::fmt::Write;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 44.0;

/// Lowest line of the drawing area.
const FLOOR: f64 = HEIGHT - BOTTOM;

/// Text that is safe inside HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn open(title: &str) -> String {
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\"><title>{title}</title>",
        title = escape(title)
    )
}

/// Names with their marks, in one line above the drawing area.
fn key(svg: &mut String, names: &[(String, &str)]) {
    let mut x = LEFT;
    for (name, class) in names {
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"5\" width=\"10\" height=\"10\"/>\
             <text x=\"{:.1}\" y=\"14\">{}</text>",
            x + 15.0,
            escape(name)
        );
        x += 35.0 + 6.5 * name.chars().count() as f64;
    }
}

/// A value in a tooltip, with four significant digits.
fn exact(value: f64) -> String {
    if value.abs() < 1e-300 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor();
    let digits = (3.0 - magnitude).clamp(0.0, 9.0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tooltips_have_four_digits_and_text_is_escaped() {
        assert_eq!(exact(0.0), "0");
        assert_eq!([1.234_56, 0.012_345_6, 1234.56].map(exact), ["1.235", "0.01235", "1235"]);
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
