//! What repeated measurements say on the page.

use super::knees::endpoint;
use super::{cell, count, page_unit, probability, table};
use crate::error::Result;
use crate::pipeline::group::text;
use crate::report::{Cell, PageTable};
use crate::table::Table;

const COLUMNS: [&str; 10] = [
    "endpoint",
    "region",
    "n",
    "within-knee SD",
    "detectable change",
    "unit",
    "within-knee CV [%]",
    "bias",
    "limits of agreement",
    "ICC(2,1)",
];

const CAPTION: &str = "Knees measured twice in the same state. A change of one knee below the detectable \
                       change, 2.77 within-knee SDs, is not told from error with 95 % confidence. The \
                       QIBA profile of compositional cartilage imaging (Chalian et al., Radiology 2021, \
                       doi:10.1148/radiol.2021204587) expects a within-knee CV of 4–5 % and so a \
                       change of about 14 % in one knee; smaller changes can be found in groups only. \
                       Intervals and ICC(3,1) stand in the table repeatability.";

/// One row per endpoint, region and layer.
pub(super) fn repeats(repeated: &Table) -> Result<PageTable> {
    let mut rows = Vec::new();
    for row in 0..repeated.n_rows() {
        let (factor, unit) = page_unit(text(repeated, "units", row)?);
        let layer = match text(repeated, "layer", row)? {
            "full" => String::new(),
            layer => format!(" · {layer}"),
        };
        let region = text(repeated, "region", row)?.replace('_', " ");
        let limits = match cell(repeated, "limit_low", row, factor)?.as_str() {
            "–" => "–".to_owned(),
            low => format!("{low} to {}", cell(repeated, "limit_high", row, factor)?),
        };
        rows.push(vec![
            endpoint(text(repeated, "endpoint", row)?).into(),
            Cell::from(format!("{region}{layer}")),
            count(repeated, "n", row)?.into(),
            cell(repeated, "within_sd", row, factor)?.into(),
            cell(repeated, "repeatability_coefficient", row, factor)?.into(),
            unit.into(),
            cell(repeated, "within_cv_percent", row, 1.0)?.into(),
            cell(repeated, "bias", row, factor)?.into(),
            limits.into(),
            probability(repeated, "icc_2_1", row)?.into(),
        ]);
    }
    Ok(table("Repeatability", CAPTION, &COLUMNS, rows))
}
