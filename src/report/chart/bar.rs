//! Colour bars and legends of maps.

use std::fmt::Write;

use super::axis::{label, ticks};
use super::escape;
use crate::report::{Category, Palette};

/// A colour bar from `low` to `high` in `unit`.
pub(in crate::report) fn colour_bar(palette: Palette, [low, high]: [f64; 2], unit: &str) -> String {
    let unit = escape(unit);
    let mut svg = format!(
        "<svg class=\"bar\" viewBox=\"0 0 340 32\" shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"colour bar\">\
         <title>{unit}</title>"
    );
    for step in 0..64 {
        let [r, g, b] = palette.colour(f64::from(step) / 63.0);
        let _ = write!(
            svg,
            "<rect x=\"{}\" y=\"0\" width=\"5.2\" height=\"12\" fill=\"rgb({r},{g},{b})\"/>",
            10 + step * 5
        );
    }
    for tick in ticks(low, high) {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"26\" text-anchor=\"middle\">{}</text>",
            10.0 + (tick - low) / (high - low) * 320.0,
            label(tick, high - low)
        );
    }
    let _ = write!(svg, "</svg><span>{unit}</span><span class=\"swatch\">{} no value</span>", {
        square([0; 3])
    });
    svg
}

/// Categories with their colours and numbers of voxels.
pub(in crate::report) fn legend(categories: &[Category]) -> String {
    let mut html = String::new();
    for category in categories {
        let _ = write!(
            html,
            "<span class=\"swatch\">{} {} ({})</span> ",
            square(category.swatch.colour()),
            escape(&category.name),
            category.n_voxels
        );
    }
    html
}

fn square([r, g, b]: [u8; 3]) -> String {
    format!(
        "<svg class=\"square\" viewBox=\"0 0 10 10\"><rect width=\"10\" height=\"10\" \
         fill=\"rgb({r},{g},{b})\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Swatch;

    #[test]
    fn a_colour_bar_has_its_unit_its_ticks_and_the_colour_of_no_value() {
        let bar = colour_bar(Palette::Navia, [0.0, 100.0], "ms");
        assert!(bar.contains("<span>ms</span>") && bar.contains("no value"));
        for tick in ["0", "20", "40", "60", "80", "100"] {
            assert!(bar.contains(&format!(">{tick}</text>")), "{tick}");
        }
    }

    #[test]
    fn a_legend_counts_the_voxels_of_each_category() {
        let name = "relative uncertainty > 10 %".to_owned();
        let legend = legend(&[Category { name, n_voxels: 64, swatch: Swatch::Orange }]);
        assert!(legend.contains("rgb(230,159,0)"));
        assert!(legend.contains("relative uncertainty &gt; 10 % (64)"));
    }
}
