//! Pages that people read: plain results in, one self-contained HTML file out.
//!
//! Nothing is computed here that is not drawing: every number on a page is handed in and also
//! stands in a table. A page opens offline by double click; its content security policy forbids
//! scripts and the network. Adding a section is a file in `sections/` and a line in its list.

mod chart;
mod colour;
mod figure;
mod mosaic;
mod page;
mod sections;
mod table;
mod view;

pub use colour::{Palette, Swatch};
pub use figure::{
    Category, Colours, Distribution, Dot, DotColumn, DotFigure, Figure, HistogramFigure, MapFigure,
    Pair, PairFigure, PairPanel,
};
pub use table::{Cell, PageTable};

use crate::error::Result;

/// One page: what is known of one session of one participant, or of the whole cohort.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Heading, such as `sub-01 · ses-pre`.
    pub title: String,
    /// Name of the pipeline.
    pub study: String,
    /// Said at the top: simulated data, limits, warnings, failures.
    pub notices: Vec<Notice>,
    /// Links to other pages: text and relative address.
    pub links: Vec<(String, String)>,
    /// The numbers that matter.
    pub headlines: Vec<Headline>,
    /// Tables right below them, as in an abstract.
    pub summary: Vec<PageTable>,
    /// Charts of the cohort.
    pub figures: Vec<Figure>,
    /// Tables in detail; long ones are folded.
    pub tables: Vec<PageTable>,
    /// What went in, one block per fit or label image.
    pub inputs: Vec<Facts>,
    /// Maps on anatomy.
    pub maps: Vec<MapFigure>,
    /// Distributions before and after the gate.
    pub histograms: Vec<HistogramFigure>,
    /// Where every voxel went.
    pub exclusions: Vec<Exclusion>,
    /// How it was done, sentence by sentence.
    pub methods: Vec<String>,
    /// Version, plan, inputs: description and value.
    pub provenance: Vec<(String, String)>,
}

/// One thing the reader must know before the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How grave it is.
    pub level: Level,
    /// A sentence.
    pub text: String,
    /// Fits and regions it is about; empty where it is about the page.
    pub places: Vec<String>,
}

/// How grave a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Remark,
    /// May change the numbers.
    Warning,
    /// Numbers are missing.
    Failure,
}

/// One number with its companions.
#[derive(Debug, Clone)]
pub struct Headline {
    /// What it is of.
    pub label: String,
    /// Unit of every answer.
    pub unit: String,
    /// Answers by different ways, the reported one first.
    pub answers: Vec<Answer>,
    /// What else belongs to it.
    pub note: String,
}

/// One answer: a value, its spread, and what both are of.
#[derive(Debug, Clone)]
pub struct Answer {
    /// How it was found, such as `voxel by voxel`.
    pub name: String,
    /// Value with spread, such as `1.20 ± 0.12`.
    pub value: String,
    /// Spread in percent of the value, such as `10 %`; empty where it has none.
    pub percent: String,
    /// How many voxels or points, and the median.
    pub detail: String,
}

/// A titled list of descriptions and values.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What they are about.
    pub title: String,
    /// Description and value.
    pub pairs: Vec<(String, String)>,
}

/// Voxels lost for one reason, or kept.
#[derive(Debug, Clone)]
pub struct Exclusion {
    /// Fit and region.
    pub place: String,
    /// Why.
    pub reason: String,
    /// How many.
    pub n_voxels: u64,
    /// Of the region.
    pub fraction: f64,
}

impl Notice {
    /// A notice about the whole page.
    pub fn of_page(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into(), places: Vec::new() }
    }
}

/// Adds what is said of `place`; the same sentence about several places is said once.
pub fn notice(notices: &mut Vec<Notice>, level: Level, place: &str, text: &str) {
    let place = place.to_owned();
    match notices.iter_mut().find(|own| own.level == level && own.text == text) {
        Some(same) if same.places.contains(&place) => {}
        Some(same) => same.places.push(place),
        None => notices.push(Notice { level, text: text.to_owned(), places: vec![place] }),
    }
}

/// The page as one HTML file.
///
/// # Errors
///
/// `Internal` when a template or an image cannot be made.
pub fn render(page: &Page) -> Result<String> {
    page::render(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_sentence_about_two_places_is_said_once() {
        let mut notices = Vec::new();
        for place in ["right knee", "left knee", "left knee"] {
            notice(&mut notices, Level::Warning, place, "two estimates of σ disagree");
        }
        notice(&mut notices, Level::Remark, "right knee", "two estimates of σ disagree");
        assert_eq!(notices.len(), 2);
        assert_eq!(notices[0].places, ["right knee", "left knee"]);
    }
}
