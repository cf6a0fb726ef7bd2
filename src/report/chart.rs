//! Charts as SVG text: axes with round ticks, units, and a tooltip on every mark.

use std::fmt::Write;

use super::{HistogramFigure, Palette};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 12.0;
const FILLS: [&str; 3] = ["#c9ced6", "#5b8db8", "#0b3d63"];

/// Ticks at round numbers (1, 2 or 5 times a power of ten) inside `low..=high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    if !(rough.is_finite() && rough > 0.0) {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= rough).unwrap_or(10.0);
    let step = factor * power;
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|tick| tick as f64 * step).collect()
}

/// A tick label without needless digits.
fn label(value: f64, span: f64) -> String {
    let digits = (1.0 - (span / 5.0).log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Distributions over one another, the first one palest.
pub(super) fn histogram(figure: &HistogramFigure) -> String {
    let (Some(&low), Some(&high)) = (figure.edges.first(), figure.edges.last()) else {
        return String::new();
    };
    let most = figure.distributions.iter().flat_map(|(_, counts)| counts).copied().max();
    let most = most.unwrap_or(0).max(1) as f64;
    let x = |value: f64| LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT);
    let y = |count: f64| HEIGHT - BOTTOM - count / most * (HEIGHT - BOTTOM - TOP);
    let mut svg = open(&figure.title);
    axes(&mut svg, figure, [low, high], most);
    for (place, (name, counts)) in figure.distributions.iter().enumerate() {
        let fill = FILLS[place.min(FILLS.len() - 1)];
        for (bin, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (start, end) = (figure.edges[bin], figure.edges[bin + 1]);
            let _ = write!(
                svg,
                "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"{fill}\">\
                 <title>{name}: {count} voxels from {start:.3} to {end:.3}</title></rect>",
                x(start),
                y(count as f64),
                (x(end) - x(start)).max(0.5),
                HEIGHT - BOTTOM - y(count as f64),
                name = escape(name),
            );
        }
        let line = TOP + 14.0 * place as f64;
        let _ = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"{line:.1}\" width=\"10\" height=\"10\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            WIDTH - 150.0,
            WIDTH - 135.0,
            line + 9.0,
            escape(name),
        );
    }
    svg.push_str("</svg>");
    svg
}

fn open(title: &str) -> String {
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\"><title>{title}</title>",
        title = escape(title)
    )
}

fn axes(svg: &mut String, figure: &HistogramFigure, [low, high]: [f64; 2], most: f64) {
    let floor = HEIGHT - BOTTOM;
    let _ = write!(
        svg,
        "<path d=\"M{LEFT} {TOP}V{floor}H{:.1}\" fill=\"none\" stroke=\"currentColor\"/>",
        WIDTH - RIGHT
    );
    for tick in ticks(low, high) {
        let x = LEFT + (tick - low) / (high - low) * (WIDTH - LEFT - RIGHT);
        let _ = write!(
            svg,
            "<path d=\"M{x:.2} {floor}v5\" stroke=\"currentColor\"/><text x=\"{x:.2}\" \
             y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            floor + 18.0,
            label(tick, high - low),
        );
    }
    for tick in ticks(0.0, most) {
        let y = floor - tick / most * (floor - TOP);
        let _ = write!(
            svg,
            "<path d=\"M{LEFT} {y:.2}h-5\" stroke=\"currentColor\"/><text x=\"{:.1}\" \
             y=\"{:.2}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            label(tick, most),
        );
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    let _ = write!(
        svg,
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
         <text x=\"14\" y=\"{:.1}\" text-anchor=\"middle\" \
         transform=\"rotate(-90 14 {:.1})\">voxels</text>",
        HEIGHT - 6.0,
        escape(&figure.axis),
        floor / 2.0,
        floor / 2.0,
    );
}

/// A colour bar with its ends in `unit`.
pub(super) fn colour_bar(palette: Palette, [low, high]: [f64; 2], unit: &str) -> String {
    let mut svg = String::from(
        "<svg class=\"bar\" viewBox=\"0 0 320 34\" role=\"img\" aria-label=\"colour bar\">",
    );
    for step in 0..64 {
        let [r, g, b] = palette.colour(f64::from(step) / 63.0);
        let _ = write!(
            svg,
            "<rect x=\"{}\" y=\"0\" width=\"5.2\" height=\"12\" fill=\"rgb({r},{g},{b})\"/>",
            step * 5
        );
    }
    let span = high - low;
    for tick in ticks(low, high) {
        let fraction = (tick - low) / span;
        let anchor = match fraction {
            f if f < 0.02 => "start",
            f if f > 0.98 => "end",
            _ => "middle",
        };
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"27\" text-anchor=\"{anchor}\">{}</text>",
            fraction * 320.0,
            label(tick, span)
        );
    }
    let _ = write!(svg, "<title>{}</title></svg> <span>{}</span>", escape(unit), escape(unit));
    svg
}

/// Text that is safe inside HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = ticks(0.13, 2.9);
        let texts: Vec<String> = ticks.iter().map(|&tick| label(tick, 2.77)).collect();
        assert_eq!(texts, ["1", "2"].map(String::from));
        let texts: Vec<String> =
            super::ticks(0.0, 60.0).iter().map(|&tick| label(tick, 60.0)).collect();
        assert_eq!(texts, ["0", "20", "40", "60"].map(String::from));
    }

    #[test]
    fn every_bar_has_a_tooltip_and_text_is_escaped() {
        let figure = HistogramFigure {
            title: "ADC <tumour>".into(),
            axis: "10⁻³ mm²/s".into(),
            edges: vec![0.0, 1.0, 2.0],
            distributions: vec![("all".into(), vec![3, 0]), ("kept".into(), vec![2, 0])],
        };
        let svg = histogram(&figure);
        assert!(svg.contains("ADC &lt;tumour&gt;") && !svg.contains("<tumour>"));
        assert!(svg.contains("<title>kept: 2 voxels from 0.000 to 1.000</title>"));
        assert_eq!(svg.matches("voxels from").count(), 2);
    }

    #[test]
    fn a_histogram_without_bins_is_empty() {
        let figure = HistogramFigure {
            title: String::new(),
            axis: String::new(),
            edges: vec![],
            distributions: vec![],
        };
        assert_eq!(histogram(&figure), "");
    }
}
