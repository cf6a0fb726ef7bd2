//! The report as Markdown: the same bytes for the same numbers.

use std::fmt::Write;

use super::bench::Fate;
use super::comparison::{Comparison, Judged, Verdict};
use super::{Report, Section};
use crate::pipeline::provenance::VERSION;

const INTRODUCTION: &str = "\
Written by `biomarker validate --data DIR`; never edited by hand. Paths are inside that folder, which \
is not part of the project. Every map is made as a user makes it, over the whole image and without a \
mask, written, read back and compared.

*Ours* and *theirs* are medians over the voxels compared; *difference* is |ours − theirs|, in the \
stated unit or, where none is stated, relative to theirs. *Largest ≤* and *median ≤* say what is \
judged; a difference between two definitions is shown and not judged.
";

/// The whole page.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!("# Real data, beside public reference values\n\n{INTRODUCTION}\n");
    let count = |verdict: Verdict| report.comparisons().filter(|c| c.verdict() == verdict).count();
    let n_absent = report.sections.iter().filter(|section| !section.absent.is_empty()).count();
    let _ = writeln!(
        text,
        "biomarker {VERSION}: {} comparisons agree, {} disagree, {} are shown; {n_absent} of {} \
         datasets are absent.\n",
        count(Verdict::Agrees),
        count(Verdict::Disagrees),
        count(Verdict::Shown),
        report.sections.len()
    );
    for section in &report.sections {
        self::section(&mut text, section);
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn section(text: &mut String, section: &Section) {
    let _ = writeln!(text, "## {}\n\n{}.\n", section.title, section.attribution);
    if !section.absent.is_empty() {
        let _ = writeln!(text, "Not run, these files are not here:\n");
        for inside in &section.absent {
            let _ = writeln!(text, "- `{inside}`");
        }
        text.push('\n');
        return;
    }
    let _ = writeln!(text, "```sh\n{}\n```\n", section.commands.join("\n"));
    fates(text, &section.fates);
    comparisons(text, &section.comparisons);
    for note in &section.notes {
        let _ = writeln!(text, "- {note}");
    }
    text.push('\n');
}

fn fates(text: &mut String, fates: &[Fate]) {
    if fates.is_empty() {
        return;
    }
    text.push_str("| series | voxels | ended | not finite in maps | affine of the series |\n");
    text.push_str("|---|--:|---|--:|---|\n");
    for fate in fates {
        let counts: Vec<String> =
            fate.counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            fate.series,
            fate.n_voxels,
            counts.join(", "),
            fate.n_non_finite,
            if fate.same_affine { "bit for bit" } else { "CHANGED" }
        );
    }
    text.push('\n');
}

fn comparisons(text: &mut String, comparisons: &[Comparison]) {
    if comparisons.is_empty() {
        return;
    }
    text.push_str(
        "| series | what | reference | n | left out | ours | theirs | unit | difference: median | \
         p99 | largest | judged | verdict |\n",
    );
    text.push_str("|---|---|---|--:|---|--:|--:|---|--:|--:|--:|---|---|\n");
    for comparison in comparisons {
        let left_out: Vec<String> =
            comparison.left_out.iter().map(|(reason, n)| format!("{n}: {reason}")).collect();
        let in_units = match comparison.difference_units {
            "1" => String::new(),
            units => format!(" {units}"),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {:.1e}{in_units} | {:.1e} | {:.1e} | {} | {} |",
            comparison.series,
            comparison.quantity,
            comparison.reference,
            comparison.n,
            left_out.join("; "),
            number(comparison.ours),
            number(comparison.theirs),
            comparison.units,
            comparison.median,
            comparison.p99,
            comparison.max,
            judged(comparison),
            verdict(comparison.verdict())
        );
    }
    text.push('\n');
}

fn judged(comparison: &Comparison) -> String {
    let limit = match comparison.judged {
        Judged::Largest(limit) => format!("largest ≤ {limit:.0e}: "),
        Judged::Median(limit) => format!("median ≤ {limit}: "),
        Judged::Shown => String::new(),
    };
    limit + comparison.reason
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agrees => "agrees",
        Verdict::Disagrees => "**disagrees**",
        Verdict::Shown => "shown",
    }
}

/// Five significant digits.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if (0.1..1e5).contains(&magnitude) {
        let before = magnitude.log10().floor() as i32 + 1;
        return format!("{value:.*}", (5 - before).clamp(0, 5) as usize);
    }
    format!("{value:.4e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits() {
        let cases = [(35.421_64, "35.422"), (0.001_234_567, "1.2346e-3"), (14_663.47, "14663")];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
        assert_eq!(number(f64::NAN), "NaN");
    }

    #[test]
    fn a_dataset_that_is_not_there_is_named() {
        let section = Section {
            title: "Knee",
            attribution: "nobody; MIT",
            absent: vec!["t2/a.nii.gz".into()],
            ..Section::default()
        };
        let page = render(&Report { sections: vec![section] });
        assert!(page.contains("1 of 1 datasets are absent"));
        assert!(page.ends_with("Not run, these files are not here:\n\n- `t2/a.nii.gz`\n"));
    }
}
