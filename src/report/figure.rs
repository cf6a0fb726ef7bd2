//! What can be drawn: maps on anatomy and charts, all as plain data.

use super::{Palette, Swatch};
use crate::image::{Mask, Volume};

/// A map in colour over anatomy in grey.
#[derive(Debug, Clone)]
pub struct MapFigure {
    /// What it shows.
    pub title: String,
    /// Sentence under it.
    pub caption: String,
    /// Values; not finite where there is none, which is drawn black.
    pub values: Volume<f32>,
    /// Voxels in colour; everything else shows `anatomy`.
    pub region: Mask,
    /// Grey image on the same grid.
    pub anatomy: Volume<f32>,
    /// Anatomy that is drawn black and lightest; found in the slices where not given.
    pub grey: Option<[f32; 2]>,
    /// What the values mean.
    pub colours: Colours,
}

/// What the values of a map mean.
#[derive(Debug, Clone)]
pub enum Colours {
    /// A quantity.
    Scale {
        /// Colours from low to high.
        palette: Palette,
        /// Values of the ends of the colour bar; beyond them the end's colour is used.
        window: [f64; 2],
        /// Unit.
        unit: String,
    },
    /// The place of a category in this list.
    Categories(Vec<Category>),
}

/// One category of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// What it is.
    pub name: String,
    /// How many voxels are in it.
    pub n_voxels: usize,
    /// Colour.
    pub swatch: Swatch,
}

/// A chart of a cohort.
#[derive(Debug, Clone)]
pub enum Figure {
    /// Values by class.
    Dots(DotFigure),
    /// Values before and after.
    Pairs(PairFigure),
}

/// Distributions on common bins.
#[derive(Debug, Clone, Default)]
pub struct HistogramFigure {
    /// What it shows.
    pub title: String,
    /// Axis label with unit.
    pub axis: String,
    /// Rising edges, one more than counts.
    pub edges: Vec<f64>,
    /// The widest first.
    pub distributions: Vec<Distribution>,
}

/// One distribution of a histogram.
#[derive(Debug, Clone, Default)]
pub struct Distribution {
    /// What it is of.
    pub name: String,
    /// Voxels per bin.
    pub counts: Vec<u64>,
    /// Mean, marked by a line.
    pub mean: Option<f64>,
}

/// Columns of dots with their means.
#[derive(Debug, Clone, Default)]
pub struct DotFigure {
    /// What it shows.
    pub title: String,
    /// Axis label with unit.
    pub axis: String,
    /// Sentence under it.
    pub caption: String,
    /// From left to right.
    pub columns: Vec<DotColumn>,
}

/// The dots of one class found in one way.
#[derive(Debug, Clone, Default)]
pub struct DotColumn {
    /// Class.
    pub group: String,
    /// How the values were found.
    pub way: String,
    /// Filled dots for the method, hollow ones for what it is compared with.
    pub is_filled: bool,
    /// One per tumour.
    pub dots: Vec<Dot>,
    /// Mean, marked by a line.
    pub mean: Option<f64>,
    /// Interval of the mean, marked by a bar.
    pub interval: Option<[f64; 2]>,
}

/// One dot.
#[derive(Debug, Clone, Default)]
pub struct Dot {
    /// Whose it is.
    pub name: String,
    /// Value.
    pub value: f64,
}

/// Lines from before to after.
#[derive(Debug, Clone, Default)]
pub struct PairFigure {
    /// What it shows.
    pub title: String,
    /// Axis label with unit.
    pub axis: String,
    /// Sentence under it.
    pub caption: String,
    /// Names of before and after.
    pub times: [String; 2],
    /// Side by side on one axis.
    pub panels: Vec<PairPanel>,
}

/// The pairs of one group.
#[derive(Debug, Clone, Default)]
pub struct PairPanel {
    /// Group.
    pub name: String,
    /// One per knee.
    pub pairs: Vec<Pair>,
    /// Means before and after, marked by a heavy line.
    pub means: Option<[f64; 2]>,
}

/// One pair.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// Whose it is.
    pub name: String,
    /// Value before and after.
    pub values: [f64; 2],
}
