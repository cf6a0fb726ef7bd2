//! Distributions over one another on common bins.

use std::fmt::Write;

use super::axis::Axis;
use super::{FLOOR, TOP, escape, exact, key, open};
use crate::report::{Distribution, HistogramFigure};

const CLASSES: [&str; 3] = ["wide", "kept", "method"];

/// Voxels of the widest distribution that may lie beyond each end of the axis.
const BEYOND: f64 = 0.005;

/// The first distribution is the palest and lies behind the others; empty where there are no bins.
pub(in crate::report) fn histogram(figure: &HistogramFigure) -> String {
    let Some(widest) = figure.distributions.first() else { return String::new() };
    let Some([first, last]) = shown_bins(widest) else { return String::new() };
    let (Some(&low), Some(&high)) = (figure.edges.get(first), figure.edges.get(last + 1)) else {
        return String::new();
    };
    let shown = |own: &Distribution| own.counts[first..=last].to_vec();
    let most = figure.distributions.iter().flat_map(shown).max().unwrap_or(0).max(1);
    let (across, up) = (Axis { low, high }, Axis { low: 0.0, high: 1.05 * most as f64 });
    let mut svg = open(&figure.title);
    up.draw_beside(&mut svg, "voxels");
    let names: Vec<(String, &str)> =
        figure.distributions.iter().map(|own| own.name.clone()).zip(CLASSES).collect();
    for (own, class) in figure.distributions.iter().zip(CLASSES) {
        for bin in (first..=last).filter(|&bin| own.counts[bin] > 0) {
            let edges = [figure.edges[bin], figure.edges[bin + 1]];
            bar(&mut svg, own, class, edges, (own.counts[bin], across, up));
        }
    }
    for (own, class) in figure.distributions.iter().zip(CLASSES) {
        mean_line(&mut svg, own, class, across);
    }
    across.draw_below(&mut svg, &figure.axis);
    key(&mut svg, &names);
    svg.push_str("</svg>");
    let total: u64 = widest.counts.iter().sum();
    let drawn: u64 = shown(widest).iter().sum();
    if drawn < total {
        let _ = write!(svg, "<p class=\"soft\">{} voxels lie beyond the axis.</p>", total - drawn);
    }
    svg
}

/// First and last bin that are drawn; `None` where all are empty.
fn shown_bins(widest: &Distribution) -> Option<[usize; 2]> {
    let total: u64 = widest.counts.iter().sum();
    let may_be_lost = (BEYOND * total as f64) as u64;
    let bins: Vec<usize> = (0..widest.counts.len()).collect();
    let end = |bins: &mut dyn Iterator<Item = &usize>| {
        let mut lost = 0;
        bins.copied().find(|&bin| {
            lost += widest.counts[bin];
            lost > may_be_lost
        })
    };
    Some([end(&mut bins.iter())?, end(&mut bins.iter().rev())?])
}

fn bar(
    svg: &mut String,
    own: &Distribution,
    class: &str,
    [start, end]: [f64; 2],
    (count, across, up): (u64, Axis, Axis),
) {
    let top = up.y(count as f64);
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{:.2}\" y=\"{top:.2}\" width=\"{:.2}\" height=\"{:.2}\">\
         <title>{}: {count} voxels from {} to {}</title></rect>",
        across.x(start),
        (across.x(end) - across.x(start)).max(0.5),
        FLOOR - top,
        escape(&own.name),
        exact(start),
        exact(end),
    );
}

fn mean_line(svg: &mut String, own: &Distribution, class: &str, across: Axis) {
    let Some(mean) = own.mean.filter(|mean| (across.low..=across.high).contains(mean)) else {
        return;
    };
    let _ = write!(
        svg,
        "<path class=\"mean {class}\" d=\"M{:.2} {TOP}V{FLOOR}\"><title>{}: mean {}</title></path>",
        across.x(mean),
        escape(&own.name),
        exact(mean),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(name: &str, counts: Vec<u64>, mean: f64) -> Distribution {
        Distribution { name: name.into(), counts, mean: Some(mean) }
    }

    #[test]
    fn every_bar_and_mean_has_a_tooltip_and_text_is_escaped() {
        let figure = HistogramFigure {
            title: "ADC <tumour>".into(),
            axis: "10⁻³ mm²/s".into(),
            edges: vec![0.0, 1.0, 2.0],
            distributions: vec![
                distribution("all", vec![3, 1], 0.75),
                distribution("kept", vec![2, 0], 0.5),
            ],
        };
        let svg = histogram(&figure);
        assert!(svg.contains("ADC &lt;tumour&gt;") && !svg.contains("<tumour>"));
        assert!(svg.contains("<title>kept: 2 voxels from 0 to 1.000</title>"));
        assert!(svg.contains("<title>all: mean 0.7500</title>"));
        assert_eq!(svg.matches("voxels from").count(), 3);
    }

    #[test]
    fn a_few_voxels_far_away_do_not_stretch_the_axis_but_are_counted() {
        let mut counts = vec![0; 100];
        counts[10] = 500;
        counts[11] = 498;
        counts[99] = 2;
        let figure = HistogramFigure {
            edges: (0..=100).map(f64::from).collect(),
            distributions: vec![distribution("all", counts, 11.0)],
            ..HistogramFigure::default()
        };
        let svg = histogram(&figure);
        assert!(svg.contains("2 voxels lie beyond the axis."));
        assert_eq!(svg.matches("voxels from").count(), 2);
    }

    #[test]
    fn a_histogram_without_bins_is_empty() {
        assert_eq!(histogram(&HistogramFigure::default()), "");
    }
}
