//! Dots by class with their means and intervals.

use std::fmt::Write;

use super::axis::Axis;
use super::{FLOOR, LEFT, RIGHT, WIDTH, escape, exact, key, open};
use crate::report::{Dot, DotColumn, DotFigure};

/// Dots closer than this, in pixels, are set side by side.
const NEAR: f64 = 7.0;

/// One column per class and way; empty where there is no dot.
pub(in crate::report) fn dots(figure: &DotFigure) -> String {
    let values = figure.columns.iter().flat_map(|column| {
        let of_dots = column.dots.iter().map(|dot| dot.value);
        of_dots.chain(column.interval.into_iter().flatten()).chain([0.0])
    });
    let has_dots = figure.columns.iter().any(|column| !column.dots.is_empty());
    let Some(axis) = Axis::around(values).filter(|_| has_dots) else { return String::new() };
    let mut svg = open(&figure.title);
    axis.draw_beside(&mut svg, &figure.axis);
    let width = (WIDTH - LEFT - RIGHT) / figure.columns.len() as f64;
    for (place, column) in figure.columns.iter().enumerate() {
        let x = LEFT + (place as f64 + 0.5) * width;
        summary(&mut svg, column, axis, [x, width]);
        for (dot, shift) in side_by_side(&column.dots, axis, width) {
            mark(&mut svg, column, dot, [x + shift, axis.y(dot.value)]);
        }
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            FLOOR + 18.0,
            escape(&column.group)
        );
    }
    key(&mut svg, &ways(figure));
    svg.push_str("</svg>");
    svg
}

fn ways(figure: &DotFigure) -> Vec<(String, &'static str)> {
    let mut ways: Vec<(String, &str)> = Vec::new();
    for column in &figure.columns {
        if ways.iter().all(|(way, _)| *way != column.way) {
            ways.push((column.way.clone(), class(column)));
        }
    }
    ways
}

fn class(column: &DotColumn) -> &'static str {
    if column.is_filled { "dot method" } else { "dot hollow" }
}

fn summary(svg: &mut String, column: &DotColumn, axis: Axis, [x, width]: [f64; 2]) {
    if let Some([low, high]) = column.interval {
        let _ = write!(
            svg,
            "<path class=\"interval\" d=\"M{x:.2} {:.2}V{:.2}\"><title>{}, {}: bar from {} to \
             {}</title></path>",
            axis.y(low),
            axis.y(high),
            escape(&column.group),
            escape(&column.way),
            exact(low),
            exact(high),
        );
    }
    if let Some(mean) = column.mean {
        let _ = write!(
            svg,
            "<path class=\"line\" d=\"M{:.2} {:.2}h{:.2}\"><title>{}, {}: mean {}</title></path>",
            x - 0.3 * width,
            axis.y(mean),
            0.6 * width,
            escape(&column.group),
            escape(&column.way),
            exact(mean),
        );
    }
}

/// Dots by rising value with a shift to the side that keeps near ones apart.
fn side_by_side(dots: &[Dot], axis: Axis, width: f64) -> Vec<(&Dot, f64)> {
    let mut sorted: Vec<&Dot> = dots.iter().filter(|dot| dot.value.is_finite()).collect();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value).then_with(|| a.name.cmp(&b.name)));
    let mut placed: Vec<(&Dot, f64)> = Vec::new();
    for dot in sorted {
        let y = axis.y(dot.value);
        let is_free = |shift: &f64| {
            placed
                .iter()
                .rev()
                .take_while(|(other, _)| axis.y(other.value) - y < NEAR)
                .all(|(other, own)| (own - shift).hypot(axis.y(other.value) - y) >= NEAR)
        };
        let sides = (0..40).map(|step| {
            let distance = f64::from((step + 1) / 2) * NEAR / 2.0;
            if step % 2 == 0 { distance } else { -distance }
        });
        let shift = sides.take_while(|shift| shift.abs() < 0.45 * width).find(is_free);
        placed.push((dot, shift.unwrap_or(0.0)));
    }
    placed
}

fn mark(svg: &mut String, column: &DotColumn, dot: &Dot, [x, y]: [f64; 2]) {
    let _ = write!(
        svg,
        "<circle class=\"{}\" cx=\"{x:.2}\" cy=\"{y:.2}\" r=\"3.5\"><title>{}: {} ({}, {})</title>\
         </circle>",
        class(column),
        escape(&dot.name),
        exact(dot.value),
        escape(&column.group),
        escape(&column.way),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[f64]) -> DotColumn {
        let dots = values
            .iter()
            .enumerate()
            .map(|(place, &value)| Dot { name: format!("sub-{place}"), value });
        DotColumn {
            group: "GN".into(),
            way: "method".into(),
            is_filled: true,
            dots: dots.collect(),
            mean: Some(1.2),
            interval: Some([1.0, 1.4]),
        }
    }

    #[test]
    fn every_dot_mean_and_interval_has_a_tooltip() {
        let figure = DotFigure { columns: vec![column(&[1.1, 1.3])], ..DotFigure::default() };
        let svg = dots(&figure);
        assert!(svg.contains("<title>sub-0: 1.100 (GN, method)</title>"));
        assert!(svg.contains("<title>GN, method: mean 1.200</title>"));
        assert!(svg.contains("<title>GN, method: bar from 1.000 to 1.400</title>"));
        assert_eq!(svg.matches("<circle").count(), 2);
    }

    #[test]
    fn equal_values_stand_side_by_side_whatever_their_order() {
        let axis = Axis { low: 0.0, high: 2.0 };
        let shifts: Vec<f64> = side_by_side(&column(&[1.0, 1.0, 1.0]).dots, axis, 80.0)
            .into_iter()
            .map(|(_, shift)| shift)
            .collect();
        assert_eq!(shifts, [0.0, -7.0, 7.0]);
    }

    #[test]
    fn no_dot_is_no_figure() {
        assert_eq!(dots(&DotFigure { columns: vec![column(&[])], ..DotFigure::default() }), "");
    }
}
