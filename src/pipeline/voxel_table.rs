//! The `voxels` table: every voxel of every fit with its uncertainty and fate.

use super::voxels::VoxelResult;
use crate::error::Result;
use crate::model::FitStatus;
use crate::quality::Verdict;
use crate::table::schemas::VOXELS;
use crate::table::{Table, Texts, Values};

/// Where voxels come from.
#[derive(Debug, Clone, Copy)]
pub struct VoxelPlace<'a> {
    /// Such as `sub-01`.
    pub participant_id: &'a str,
    /// Such as `ses-pre`.
    pub session_id: Option<&'a str>,
    /// Region, knee included.
    pub region: &'a str,
}

/// One row per voxel of the region and parameter.
///
/// # Errors
///
/// `Internal` when a column does not fit the schema.
pub fn table(place: VoxelPlace<'_>, result: &VoxelResult) -> Result<Table> {
    let mut table = Table::new(&VOXELS);
    for parameter in 0..result.parameters.len() {
        table.append(&of_parameter(place, result, parameter)?)?;
    }
    Ok(table)
}

fn of_parameter(place: VoxelPlace<'_>, result: &VoxelResult, index: usize) -> Result<Table> {
    let mask = &result.fits.mask;
    let (grid, n) = (mask.grid(), mask.len());
    let parameter = &result.parameters[index];
    let text = |text: &str| Values::Text(Texts::repeated(text, n));
    let voxel = |axis: usize| {
        let at = |&i: &usize| Some(grid.voxel(i)[axis] as i64);
        Values::Integer(mask.indices().iter().map(at).collect())
    };
    let position = |axis: usize| {
        let at = |&i: &usize| Some(grid.position_mm(i)[axis] as f32);
        Values::Single(mask.indices().iter().map(at).collect())
    };
    let status: Texts = result.fits.status.iter().map(|status| status.name()).collect();
    let keep = result.gate.verdicts.iter().map(|verdict| Some(*verdict == Verdict::Kept));
    let mut columns = vec![
        ("participant_id", text(place.participant_id)),
        ("session_id", text(place.session_id.unwrap_or_default())),
        ("region", text(place.region)),
        ("parameter", text(parameter.short_name)),
        ("units", text(parameter.unit.symbol())),
        ("i", voxel(0)),
        ("j", voxel(1)),
        ("k", voxel(2)),
        ("x_mm", position(0)),
        ("y_mm", position(1)),
        ("z_mm", position(2)),
        ("value", singles(&result.fits.estimates[index])),
        ("stderr", singles(&result.fits.standard_errors[index])),
        ("status", Values::Text(status)),
        ("keep", Values::Boolean(keep.collect())),
        ("habitat", habitats(result)),
        ("stability", stability(result)),
        ("exclusion_reason", Values::Text(reasons(result))),
    ];
    if let Some(uncertainty) = result.uncertainties.get(index) {
        columns.push(("u", singles(&uncertainty.relative)));
        columns.push(("bias", singles(&uncertainty.bias)));
    }
    Table::from_columns(&VOXELS, columns)
}

fn singles(values: &[f64]) -> Values {
    Values::Single(values.iter().map(|&value| Some(value as f32)).collect())
}

fn habitats(result: &VoxelResult) -> Values {
    let n = result.fits.mask.len();
    let labels = result.groups.as_ref().map_or_else(|| vec![None; n], |groups| groups.labels(n));
    Values::Integer(labels.into_iter().map(|label| label.map(i64::from)).collect())
}

fn stability(result: &VoxelResult) -> Values {
    match result.groups.as_ref().filter(|groups| !groups.stability.is_empty()) {
        Some(groups) => singles(&groups.stability),
        None => Values::Single(vec![None; result.fits.mask.len()]),
    }
}

fn reasons(result: &VoxelResult) -> Texts {
    let reason = |(verdict, status): (&Verdict, &FitStatus)| match *verdict {
        Verdict::Kept => None,
        Verdict::Rejected(0) => Some(status.name()),
        Verdict::Rejected(rule) => Some(result.gate.tallies[rule].criterion.name()),
    };
    result.gate.verdicts.iter().zip(&result.fits.status).map(reason).collect()
}
