//! The blocks of a page in the order they are read.

mod exclusions;
mod figures;
mod headlines;
mod histograms;
mod maps;
mod tables;
mod text;

use super::Page;
use crate::error::Result;

/// One block; an empty body leaves it out.
pub(super) struct Section {
    /// Address on the page.
    pub(super) name: &'static str,
    /// Heading.
    pub(super) heading: &'static str,
    /// HTML of the body.
    pub(super) render: fn(&Page) -> Result<String>,
}

/// All blocks.
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "results", heading: "Results", render: headlines::render },
    Section { name: "summary", heading: "Summary", render: tables::summary },
    Section { name: "figures", heading: "Figures", render: figures::render },
    Section { name: "tables", heading: "Details", render: tables::details },
    Section { name: "inputs", heading: "Inputs", render: text::inputs },
    Section { name: "maps", heading: "Maps", render: maps::render },
    Section { name: "distributions", heading: "Distributions", render: histograms::render },
    Section { name: "voxels", heading: "Where every voxel went", render: exclusions::render },
    Section { name: "methods", heading: "Methods", render: text::methods },
    Section { name: "provenance", heading: "Provenance", render: text::provenance },
];
