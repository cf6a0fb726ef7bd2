//! Cartilage unrolled about the axis of the condyles, as one picture.

use super::maps::{THICKNESS_MAX_MM, palette};
use super::title;
use crate::error::Result;
use crate::image::{Affine, Grid, Mask, Volume};
use crate::pipeline::plan::FlatCellPlan;
use crate::pipeline::rows;
use crate::pipeline::session::{SessionResult, ThicknessResult};
use crate::report::{Colours, MapFigure, Palette};
use crate::thickness::{FlatCell, Side};

/// Thickness and what was fitted of the same cartilage, unrolled; none where that is not asked for.
///
/// # Errors
///
/// `Internal` when the grid of the cells cannot be made.
pub(super) fn figures(session: &SessionResult<'_>) -> Result<Vec<MapFigure>> {
    let mut figures = Vec::new();
    for result in &session.thickness {
        let name = rows::thickness_region(result).replace('_', " ");
        let window = [0.0, f64::from(THICKNESS_MAX_MM)];
        let colours = Colours::Scale { palette: Palette::Batlow, window, unit: "mm".into() };
        let cells = rows::flat_thickness(result);
        figures.extend(figure(result, &cells, (format!("thickness · {name}"), colours))?);
    }
    for placement in &session.placements {
        let fit = &session.fits[placement.fit];
        let result = &session.thickness[placement.thickness];
        let parameter = fit.headline();
        let factor = parameter.unit.page_factor();
        let colours = Colours::Scale {
            palette: palette(parameter),
            window: parameter.display_window.map(|value| value * factor),
            unit: parameter.unit.page_symbol().into(),
        };
        let mut cells = rows::flat_fit(fit, result, placement);
        for cell in &mut cells {
            cell.mean *= factor;
        }
        figures.extend(figure(result, &cells, (title(fit), colours))?);
    }
    Ok(figures)
}

/// Cells as one slice that is looked at from below: the front at the top, right at the left.
fn figure(
    result: &ThicknessResult<'_>,
    cells: &[FlatCell],
    (name, colours): (String, Colours),
) -> Result<Option<MapFigure>> {
    let Some(size) = result.plan.flattened_cell.filter(|_| !cells.is_empty()) else {
        return Ok(None);
    };
    let (grid, places) = layout(result, cells, size)?;
    let mut values = Volume::from_fn(grid, |_| f32::NAN);
    for (cell, &index) in cells.iter().zip(&places) {
        values.voxels_mut()[index] = cell.mean as f32;
    }
    let region = Mask::new(values.map(|value| value.is_finite()));
    Ok(Some(MapFigure {
        title: format!("{name} · unrolled"),
        caption: format!(
            "Means over cells of {}° about the axis of the condyles by {} mm along it, from the \
             trochlea (top) to the posterior condyles.",
            size.angle_deg, size.position_mm
        ),
        region,
        anatomy: Volume::from_fn(grid, |_| 0.0),
        values,
        grey: Some([0.0, 1.0]),
        colours,
    }))
}

/// A grid with a voxel per cell, and the index of each cell in it.
fn layout(
    result: &ThicknessResult<'_>,
    cells: &[FlatCell],
    FlatCellPlan { angle_deg, position_mm }: FlatCellPlan,
) -> Result<(Grid, Vec<usize>)> {
    let is_left = result.parcellation.is_some_and(|axis| axis.side() == Side::Left);
    let rightwards = if is_left { -1.0 } else { 1.0 };
    let place = |cell: &FlatCell| {
        let right = rightwards * cell.lateral_mm / position_mm;
        [right.floor() as i64, (cell.angle_deg / angle_deg).floor() as i64]
    };
    let places: Vec<[i64; 2]> = cells.iter().map(place).collect();
    let bound = |axis: usize| {
        let along = places.iter().map(|place| place[axis]);
        along.fold([i64::MAX, i64::MIN], |[low, high], at| [low.min(at), high.max(at)])
    };
    let [[left, right], [front, back]] = [bound(0), bound(1)];
    let arc_mm = angle_deg.to_radians() * mean_radius_mm(result);
    let through_mm = 10.0 * position_mm.max(arc_mm);
    let affine = Affine::from_spacing([position_mm, -arc_mm, through_mm], [0.0; 3])?;
    let shape = [(right - left + 1) as usize, (back - front + 1) as usize, 1];
    let grid = Grid::new(shape, affine)?;
    let index = |&[x, y]: &[i64; 2]| grid.index([(x - left) as usize, (y - front) as usize, 0]);
    let indices = places.iter().map(index).collect();
    Ok((grid, indices))
}

/// Mean distance of the articular surface from the axis, mm.
fn mean_radius_mm(result: &ThicknessResult<'_>) -> f64 {
    let points = &result.thickness.points;
    let radii = points.iter().filter_map(|point| {
        result.parcellation.as_ref().map(|axis| axis.radius_mm(point.position_mm))
    });
    (radii.sum::<f64>() / points.len().max(1) as f64).max(1.0)
}
