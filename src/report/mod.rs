//! Pages that people read: plain results in, one self-contained HTML file out.
//!
//! Nothing is computed here that is not drawing: every number on a page is handed in and also
//! stands in a table. A page opens offline by double click; its content security policy forbids
//! scripts and the network. Adding a section is a file in `sections/` and a line in its list.

mod chart;
mod colour;
mod mosaic;
mod page;
mod sections;

pub use colour::Palette;

use crate::error::Result;
use crate::image::{Mask, Volume};

/// One page: what is known of one session of one participant, or of the whole cohort.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Heading, such as `sub-01 · ses-pre`.
    pub title: String,
    /// Name of the pipeline.
    pub study: String,
    /// Said at the top in a box: simulated data, limits, warnings.
    pub notices: Vec<String>,
    /// Links to other pages: text and relative address.
    pub links: Vec<(String, String)>,
    /// The numbers that matter.
    pub headlines: Vec<Headline>,
    /// What went in: description and value.
    pub inputs: Vec<(String, String)>,
    /// Maps on anatomy.
    pub maps: Vec<MapFigure>,
    /// Distributions before and after the gate.
    pub histograms: Vec<HistogramFigure>,
    /// Where every voxel went.
    pub exclusions: Vec<Exclusion>,
    /// Tables of the cohort.
    pub tables: Vec<PageTable>,
    /// How it was done, sentence by sentence.
    pub methods: Vec<String>,
    /// Version, plan, inputs: description and value.
    pub provenance: Vec<(String, String)>,
}

/// One number with its companions, all in the unit of the page.
#[derive(Debug, Clone)]
pub struct Headline {
    /// What it is.
    pub label: String,
    /// Value with spread, such as `1.20 ± 0.12`.
    pub value: String,
    /// Unit.
    pub unit: String,
    /// The plain voxel-by-voxel answer beside it.
    pub plain: String,
    /// How many voxels or points, and what else belongs to it.
    pub note: String,
}

/// A map in colour over anatomy in grey.
#[derive(Debug, Clone)]
pub struct MapFigure {
    /// What it shows.
    pub title: String,
    /// Sentence under it.
    pub caption: String,
    /// Unit of the colour bar.
    pub unit: String,
    /// Values in that unit; not finite where there is none.
    pub values: Volume<f32>,
    /// Voxels in colour; everything else shows `anatomy`.
    pub region: Mask,
    /// Grey image on the same grid.
    pub anatomy: Volume<f32>,
    /// Values of the ends of the colour bar.
    pub window: [f64; 2],
    /// Colours.
    pub palette: Palette,
}

/// Two distributions on common bins.
#[derive(Debug, Clone)]
pub struct HistogramFigure {
    /// What it shows.
    pub title: String,
    /// Axis label with unit.
    pub axis: String,
    /// Rising edges, one more than counts.
    pub edges: Vec<f64>,
    /// Name and counts of each distribution, the widest first.
    pub distributions: Vec<(String, Vec<u64>)>,
}

/// Voxels lost for one reason.
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

/// A table on a page, already formatted.
#[derive(Debug, Clone)]
pub struct PageTable {
    /// Heading.
    pub title: String,
    /// Sentence under it.
    pub caption: String,
    /// Column names.
    pub columns: Vec<String>,
    /// Rows as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

/// The page as one HTML file.
///
/// # Errors
///
/// `Internal` when a template or an image cannot be made.
pub fn render(page: &Page) -> Result<String> {
    page::render(page)
}
