//! Lines from before to after, one per knee.

use std::fmt::Write;

use super::axis::Axis;
use super::{FLOOR, LEFT, RIGHT, WIDTH, escape, exact, open};
use crate::report::{PairFigure, PairPanel};

/// Panels side by side on one axis; empty where there is no pair.
pub(in crate::report) fn pairs(figure: &PairFigure) -> String {
    let all = figure.panels.iter().flat_map(|panel| &panel.pairs);
    let Some(axis) = Axis::around(all.flat_map(|pair| pair.values)) else { return String::new() };
    let mut svg = open(&figure.title);
    axis.draw_beside(&mut svg, &figure.axis);
    let width = (WIDTH - LEFT - RIGHT) / figure.panels.len() as f64;
    for (place, panel) in figure.panels.iter().enumerate() {
        let left = LEFT + place as f64 * width;
        let ends = [left + 0.25 * width, left + 0.75 * width];
        draw(&mut svg, figure, panel, (axis, ends));
    }
    svg.push_str("</svg>");
    svg
}

fn draw(svg: &mut String, figure: &PairFigure, panel: &PairPanel, (axis, ends): (Axis, [f64; 2])) {
    let [left, right] = ends;
    for pair in &panel.pairs {
        let [before, after] = pair.values.map(|value| axis.y(value));
        let _ = write!(
            svg,
            "<g class=\"pair\"><path d=\"M{left:.1} {before:.2}L{right:.1} {after:.2}\"/>\
             <circle cx=\"{left:.1}\" cy=\"{before:.2}\" r=\"3\"/>\
             <circle cx=\"{right:.1}\" cy=\"{after:.2}\" r=\"3\"/>\
             <title>{}: {} to {}</title></g>",
            escape(&pair.name),
            exact(pair.values[0]),
            exact(pair.values[1]),
        );
    }
    if let Some(means) = panel.means {
        let [before, after] = means.map(|value| axis.y(value));
        let _ = write!(
            svg,
            "<path class=\"line\" d=\"M{left:.1} {before:.2}L{right:.1} {after:.2}\"><title>{}: \
             mean {} to {}</title></path>",
            escape(&panel.name),
            exact(means[0]),
            exact(means[1]),
        );
    }
    let name = format!("{} (n = {})", panel.name, panel.pairs.len());
    let texts = [(left, 18.0, &figure.times[0]), (right, 18.0, &figure.times[1])];
    let below = (f64::midpoint(left, right), 36.0, &name);
    for (x, depth, text) in texts.into_iter().chain([below]) {
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            FLOOR + depth,
            escape(text)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Pair;

    #[test]
    fn every_knee_is_a_line_with_its_name_and_values() {
        let pair = Pair { name: "sub-01 right".into(), values: [39.18, 38.65] };
        let panel =
            PairPanel { name: "control".into(), pairs: vec![pair], means: Some([38.85, 40.23]) };
        let figure = PairFigure {
            times: ["ses-pre".into(), "ses-post".into()],
            panels: vec![panel],
            ..PairFigure::default()
        };
        let svg = pairs(&figure);
        assert!(svg.contains("<title>sub-01 right: 39.18 to 38.65</title>"));
        assert!(svg.contains("<title>control: mean 38.85 to 40.23</title>"));
        assert!(svg.contains(">control (n = 1)</text>"));
    }

    #[test]
    fn no_pair_is_no_figure() {
        assert_eq!(pairs(&PairFigure::default()), "");
    }
}
