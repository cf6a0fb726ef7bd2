//! Sweeps as Markdown: the same bytes for the same numbers.

use std::fmt::Write;

use super::{Point, Sweep};
use crate::pipeline::provenance::VERSION;
use crate::simulate::Preset;

const INTRODUCTION: &str = "\
Written by `biomarker simulate neuroblastoma --sweep`; never edited by hand. One thing is changed at a \
time, all else is as designed (S₀/σ 60 and 20, 5 % junk, gate 10 %); every step is a dataset of its own \
that goes through `pipelines/neuroblastoma_cohort.toml` from its files. *Bias* is the mean over tumours \
of estimate/truth − 1, *worst* the largest of one tumour. *Numbers* are the tumours with a number by \
the method: where too little is left there is none. *Held* is the share of tumours whose truth lies \
within 1.96 of their own standard errors; that error is of the measurement alone, so where habitats \
overlap and the estimate is biased by that, few are held. *Shrunken* is the number without a gate: a \
mixture in which every voxel counts as far as its uncertainty allows.
";

/// The whole page.
pub(super) fn render(points: &[Point], (preset, seed): (Preset, u64)) -> String {
    let mut text = format!("# How far the method bends\n\n{INTRODUCTION}\n");
    let size = match preset {
        Preset::Small => "six tumours, two of each class",
        Preset::Abstract => "thirty tumours: GN 6, GNB 6, NB 18",
    };
    let _ = writeln!(text, "biomarker {VERSION}, seed {seed}, {size}. Simulated throughout.\n");
    for sweep in Sweep::ALL {
        let own: Vec<&Point> = points.iter().filter(|point| point.sweep == sweep.name()).collect();
        if own.is_empty() {
            continue;
        }
        let _ = writeln!(text, "## {}\n\n{}\n", sweep.name(), sweep.description());
        text.push_str(
            "| value | parameter | class | numbers | kept | bias, voxel by voxel | bias, method | \
             bias, shrunken | worst | held |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for point in own {
            line(&mut text, point);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn line(text: &mut String, point: &Point) {
    let percent = |value: Option<f64>| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{:+.1} %", 100.0 * value))
    };
    let [n, n_method] = point.n;
    let worst = point.worst.map_or_else(|| "–".to_owned(), |w| format!("{:.1} %", 100.0 * w));
    let held = point.coverage.map_or_else(|| "–".to_owned(), |h| format!("{:.0} %", 100.0 * h));
    let _ = writeln!(
        text,
        "| {} | {} | {} | {n_method} of {n} | {:.0} % | {} | {} | {} | {worst} | {held} |",
        point.value,
        point.parameter,
        point.class,
        100.0 * point.kept_fraction,
        percent(point.bias[0]),
        percent(point.bias[1]),
        percent(point.bias[2]),
    );
}
