//! Slices side by side as one PNG.
//!
//! Slices are cut along the third voxel axis, cropped to the region with a margin, and drawn with
//! square pixels; the second voxel axis points up. Colour is drawn where the region is, grey
//! anatomy elsewhere, black where the map has no value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MapFigure;
use crate::error::{Error, Result};

const TILES_MAX: usize = 12;
const TILES_PER_ROW: usize = 4;
const TILE_PIXELS: f64 = 200.0;
const MARGIN_VOXELS: usize = 4;
const GAP_PIXELS: usize = 2;

/// The part of each slice that is drawn, and how large.
struct Layout {
    low: [usize; 2],
    slices: Vec<usize>,
    tile: [usize; 2],
    pixels_per_voxel: [f64; 2],
    columns: usize,
}

/// An RGB image, row after row from the top.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// The figure as a `data:` address of a PNG; `None` where the region is empty.
///
/// # Errors
///
/// `Internal` when the encoder fails.
pub(super) fn data_address(figure: &MapFigure) -> Result<Option<String>> {
    let Some(layout) = layout(figure) else { return Ok(None) };
    let rows = layout.slices.len().div_ceil(layout.columns);
    let width = layout.columns * (layout.tile[0] + GAP_PIXELS) - GAP_PIXELS;
    let height = rows * (layout.tile[1] + GAP_PIXELS) - GAP_PIXELS;
    let mut canvas = Canvas { width, height, pixels: vec![255; 3 * width * height] };
    let grey = grey_window(figure);
    for place in 0..layout.slices.len() {
        draw_slice(figure, &layout, place, grey, &mut canvas);
    }
    let png = encode(&canvas)?;
    Ok(Some(format!("data:image/png;base64,{}", STANDARD.encode(png))))
}

fn layout(figure: &MapFigure) -> Option<Layout> {
    let grid = figure.values.grid();
    let shape = grid.shape();
    let mut low = shape;
    let mut high = [0; 3];
    let mut used = vec![0_usize; shape[2]];
    for &index in figure.region.indices() {
        let voxel = grid.voxel(index);
        used[voxel[2]] += 1;
        for axis in 0..3 {
            low[axis] = low[axis].min(voxel[axis]);
            high[axis] = high[axis].max(voxel[axis]);
        }
    }
    let filled: Vec<usize> = (0..shape[2]).filter(|&k| used[k] > 0).collect();
    if filled.is_empty() {
        return None;
    }
    let step = filled.len().div_ceil(TILES_MAX);
    let first = (filled.len() - 1) % step / 2;
    let slices: Vec<usize> = filled.into_iter().skip(first).step_by(step).collect();
    let low = [0, 1].map(|axis| low[axis].saturating_sub(MARGIN_VOXELS));
    let size = [0, 1].map(|axis| (high[axis] + MARGIN_VOXELS + 1).min(shape[axis]) - low[axis]);
    let spacing = grid.affine().spacing_mm();
    let extent_mm = [0, 1].map(|axis| size[axis] as f64 * spacing[axis]);
    let pixels_per_mm = TILE_PIXELS / extent_mm[0].max(extent_mm[1]);
    let tile = extent_mm.map(|extent| ((extent * pixels_per_mm).round() as usize).max(1));
    let pixels_per_voxel = [0, 1].map(|axis| tile[axis] as f64 / size[axis] as f64);
    let columns = slices.len().min(TILES_PER_ROW);
    Some(Layout { low, slices, tile, pixels_per_voxel, columns })
}

/// Grey runs from the 1 % to the 99 % quantile of the anatomy.
fn grey_window(figure: &MapFigure) -> [f32; 2] {
    let mut values: Vec<f32> =
        figure.anatomy.voxels().iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    let at = |fraction: f64| {
        values.get((fraction * values.len().saturating_sub(1) as f64) as usize).copied()
    };
    [at(0.01).unwrap_or(0.0), at(0.99).unwrap_or(1.0)]
}

fn draw_slice(
    figure: &MapFigure,
    layout: &Layout,
    place: usize,
    grey: [f32; 2],
    canvas: &mut Canvas,
) {
    let left = place % layout.columns * (layout.tile[0] + GAP_PIXELS);
    let top = place / layout.columns * (layout.tile[1] + GAP_PIXELS);
    let grid = figure.values.grid();
    for y in 0..layout.tile[1] {
        for x in 0..layout.tile[0] {
            let from_bottom = layout.tile[1] - 1 - y;
            let voxel = [
                layout.low[0] + (x as f64 / layout.pixels_per_voxel[0]) as usize,
                layout.low[1] + (from_bottom as f64 / layout.pixels_per_voxel[1]) as usize,
                layout.slices[place],
            ];
            let colour = colour(figure, grid.index(voxel), grey);
            let start = 3 * ((top + y) * canvas.width + left + x);
            canvas.pixels[start..start + 3].copy_from_slice(&colour);
        }
    }
}

fn colour(figure: &MapFigure, index: usize, grey: [f32; 2]) -> [u8; 3] {
    if figure.region.contains(index) {
        let [low, high] = figure.window;
        let value = f64::from(figure.values.voxels()[index]);
        return figure.palette.colour((value - low) / (high - low));
    }
    let span = (grey[1] - grey[0]).max(f32::MIN_POSITIVE);
    let level = ((figure.anatomy.voxels()[index] - grey[0]) / span).clamp(0.0, 1.0);
    [(level * 200.0) as u8; 3]
}

fn encode(canvas: &Canvas) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (width, height) = (canvas.width as u32, canvas.height as u32);
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&canvas.pixels).map(|()| writer))
        .and_then(png::Writer::finish);
    written.map_err(|error| Error::internal(format!("mosaic cannot be encoded: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Affine, Grid, Mask, Volume};
    use crate::report::Palette;

    fn figure(inside: &[usize]) -> MapFigure {
        let affine = Affine::from_spacing([1.0, 2.0, 3.0], [0.0; 3]).unwrap();
        let grid = Grid::new([6, 5, 4], affine).unwrap();
        MapFigure {
            title: String::new(),
            caption: String::new(),
            unit: String::new(),
            values: Volume::from_fn(grid, |i| i as f32),
            region: Mask::from_indices(grid, inside).unwrap(),
            anatomy: Volume::from_fn(grid, |i| i as f32),
            window: [0.0, 120.0],
            palette: Palette::Batlow,
        }
    }

    #[test]
    fn an_empty_region_has_no_mosaic() {
        assert_eq!(data_address(&figure(&[])).unwrap(), None);
    }

    #[test]
    fn pixels_are_square_in_millimetres_and_show_the_value() {
        let figure = figure(&[0, 119]);
        let layout = layout(&figure).unwrap();
        assert_eq!(layout.slices, [0, 3]);
        assert_eq!(layout.tile, [120, 200]);
        let address = data_address(&figure).unwrap().unwrap();
        let bytes = STANDARD.decode(&address["data:image/png;base64,".len()..]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let width = 2 * 120 + GAP_PIXELS;
        let bottom_left = 3 * (199 * width);
        assert_eq!(pixels[bottom_left..bottom_left + 3], Palette::Batlow.colour(0.0));
        let top_right = 3 * (width - 1);
        assert_eq!(pixels[top_right..top_right + 3], Palette::Batlow.colour(119.0 / 120.0));
    }
}
