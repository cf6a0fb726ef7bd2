//! Slices side by side: one picture per slice, one pixel per voxel, scaled to millimetres.
//!
//! Slices are cut and turned by the [`View`], cropped to the region with a margin. Colour is drawn
//! where the region is, grey anatomy elsewhere, black where the map has no value.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::chart::escape;
use super::view::View;
use super::{Colours, MapFigure};
use crate::error::{Error, Result};

const SLICES_MAX: usize = 12;

/// Anatomy that is shown around the region.
const MARGIN_MM: f64 = 12.0;

/// Width of a picture in its own units, which text is sized in.
const WIDTH: f64 = 100.0;

/// The slices of one map.
#[derive(Debug)]
pub(super) struct Mosaic {
    /// One SVG per slice.
    pub(super) slices: Vec<String>,
    /// How to look at them.
    pub(super) caption: String,
}

/// The part of each slice that is drawn.
struct Layout {
    view: View,
    /// First and last index along each voxel axis.
    crop: [[usize; 2]; 3],
    /// Indices along the axis of the slices, by rising scanner coordinate.
    slices: Vec<usize>,
    n_filled: usize,
}

/// The mosaic of a figure; `None` where the region is empty.
///
/// # Errors
///
/// `Internal` when the encoder fails.
pub(super) fn mosaic(figure: &MapFigure) -> Result<Option<Mosaic>> {
    let Some(layout) = layout(figure) else { return Ok(None) };
    let grey = figure.grey.unwrap_or_else(|| grey_window(figure, &layout));
    let slices: Result<Vec<String>> =
        layout.slices.iter().map(|&slice| picture(figure, &layout, slice, grey)).collect();
    Ok(Some(Mosaic { slices: slices?, caption: caption(figure, &layout) }))
}

fn layout(figure: &MapFigure) -> Option<Layout> {
    let grid = figure.values.grid();
    let (shape, spacing) = (grid.shape(), grid.affine().spacing_mm());
    let view = View::of(grid);
    let through = view.through;
    let mut crop = shape.map(|length| [length, 0]);
    let mut is_filled = vec![false; shape[through.voxel]];
    for &index in figure.region.indices() {
        let voxel = grid.voxel(index);
        is_filled[voxel[through.voxel]] = true;
        for (own, place) in crop.iter_mut().zip(voxel) {
            *own = [own[0].min(place), own[1].max(place)];
        }
    }
    let mut filled: Vec<usize> = (0..is_filled.len()).filter(|&slice| is_filled[slice]).collect();
    if filled.is_empty() {
        return None;
    }
    for axis in [view.across.voxel, view.down.voxel] {
        let margin = (MARGIN_MM / spacing[axis]).ceil() as usize;
        let [low, high] = crop[axis];
        crop[axis] = [low.saturating_sub(margin), (high + margin).min(shape[axis] - 1)];
    }
    if !through.rises {
        filled.reverse();
    }
    let n_filled = filled.len();
    let n_shown = n_filled.min(SLICES_MAX);
    let slices =
        (0..n_shown).map(|place| filled[(2 * place + 1) * n_filled / (2 * n_shown)]).collect();
    Some(Layout { view, crop, slices, n_filled })
}

impl Layout {
    /// Pixels from left to right and from top to bottom.
    fn size(&self) -> [usize; 2] {
        [self.view.across, self.view.down].map(|axis| {
            let [low, high] = self.crop[axis.voxel];
            high - low + 1
        })
    }

    fn voxel(&self, [x, y]: [usize; 2], slice: usize) -> [usize; 3] {
        let mut voxel = [0; 3];
        for (axis, place) in [(self.view.across, x), (self.view.down, y)] {
            voxel[axis.voxel] = axis.index(place, self.crop[axis.voxel]);
        }
        voxel[self.view.through.voxel] = slice;
        voxel
    }

    /// Voxels of one slice, row after row from the top.
    fn voxels(&self, slice: usize) -> impl Iterator<Item = [usize; 3]> {
        let [width, height] = self.size();
        (0..height).flat_map(move |y| (0..width).map(move |x| self.voxel([x, y], slice)))
    }
}

/// Grey runs from the 1 % to the 99 % quantile of the anatomy that is drawn.
fn grey_window(figure: &MapFigure, layout: &Layout) -> [f32; 2] {
    let grid = figure.anatomy.grid();
    let drawn = layout.slices.iter().flat_map(|&slice| layout.voxels(slice));
    let mut values: Vec<f32> = drawn
        .map(|voxel| figure.anatomy.voxels()[grid.index(voxel)])
        .filter(|value| value.is_finite())
        .collect();
    values.sort_by(f32::total_cmp);
    let at = |fraction: f64| {
        values.get((fraction * values.len().saturating_sub(1) as f64) as usize).copied()
    };
    [at(0.01).unwrap_or(0.0).min(0.0), at(0.99).unwrap_or(1.0)]
}

fn picture(figure: &MapFigure, layout: &Layout, slice: usize, grey: [f32; 2]) -> Result<String> {
    let grid = figure.values.grid();
    let [width, height] = layout.size();
    let pixels: Vec<u8> =
        layout.voxels(slice).flat_map(|voxel| colour(figure, grid.index(voxel), grey)).collect();
    let png = STANDARD.encode(encode([width, height], &pixels)?);
    let spacing = grid.affine().spacing_mm();
    let [across, down] = [layout.view.across.voxel, layout.view.down.voxel];
    let tall = WIDTH * height as f64 * spacing[down] / (width as f64 * spacing[across]);
    let centre = grid.index(layout.voxel([width / 2, height / 2], slice));
    let place = layout.view.place(grid.position_mm(centre));
    let [left, _, top, _] = layout.view.letters();
    let mut svg = format!(
        "<svg class=\"slice\" viewBox=\"0 0 {WIDTH} {tall:.2}\" role=\"img\"><title>{} · slice \
         {} of {} · {place}</title>",
        escape(&figure.title),
        slice + 1,
        grid.shape()[layout.view.through.voxel],
    );
    let _ = write!(
        svg,
        "<image href=\"data:image/png;base64,{png}\" width=\"{WIDTH}\" height=\"{tall:.2}\" \
         preserveAspectRatio=\"none\"/><text x=\"2\" y=\"{:.1}\">{left}</text>\
         <text x=\"50\" y=\"6.5\" text-anchor=\"middle\">{top}</text>\
         <text x=\"98\" y=\"{:.1}\" text-anchor=\"end\">{place}</text></svg>",
        tall / 2.0 + 2.0,
        tall - 2.0,
    );
    Ok(svg)
}

fn colour(figure: &MapFigure, index: usize, grey: [f32; 2]) -> [u8; 3] {
    if figure.region.contains(index) {
        let value = f64::from(figure.values.voxels()[index]);
        return match &figure.colours {
            Colours::Scale { palette, window: [low, high], .. } => {
                palette.colour((value - low) / (high - low))
            }
            Colours::Categories(categories) if value >= 0.0 => {
                categories.get(value as usize).map_or([0; 3], |own| own.swatch.colour())
            }
            Colours::Categories(_) => [0; 3],
        };
    }
    let span = (grey[1] - grey[0]).max(f32::MIN_POSITIVE);
    let level = ((figure.anatomy.voxels()[index] - grey[0]) / span).clamp(0.0, 1.0);
    [(level * 200.0) as u8; 3]
}

/// How the slices are cut, turned and chosen.
fn caption(figure: &MapFigure, layout: &Layout) -> String {
    let grid = figure.values.grid();
    let spacing = grid.affine().spacing_mm();
    let [left, right, top, bottom] = layout.view.letters();
    let chosen = if layout.slices.len() == layout.n_filled {
        format!("all {} slices of the region", layout.n_filled)
    } else {
        format!("{} of {} slices of the region", layout.slices.len(), layout.n_filled)
    };
    format!(
        "{}, {chosen}, {:.1} mm thick. Left of the picture is {left}, right {right}, top {top}, \
         bottom {bottom}; {:.0} mm across.",
        capitalised(&layout.view.plane()),
        spacing[layout.view.through.voxel],
        layout.size()[0] as f64 * spacing[layout.view.across.voxel],
    )
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

fn encode([width, height]: [usize; 2], pixels: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(pixels).map(|()| writer))
        .and_then(png::Writer::finish);
    written.map_err(|error| Error::internal(format!("slice cannot be encoded: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Affine, Grid, Mask, Volume};
    use crate::report::{Category, Palette, Swatch};

    fn figure(inside: &[usize], colours: Colours) -> MapFigure {
        let affine = Affine::from_spacing([1.0, 2.0, 3.0], [0.0; 3]).unwrap();
        let grid = Grid::new([6, 5, 4], affine).unwrap();
        MapFigure {
            title: String::new(),
            caption: String::new(),
            values: Volume::from_fn(grid, |i| i as f32),
            region: Mask::from_indices(grid, inside).unwrap(),
            anatomy: Volume::from_fn(grid, |i| i as f32),
            grey: None,
            colours,
        }
    }

    fn scale() -> Colours {
        Colours::Scale { palette: Palette::Batlow, window: [0.0, 120.0], unit: "ms".into() }
    }

    fn pixels(svg: &str) -> Vec<u8> {
        let start = svg.find("base64,").unwrap() + "base64,".len();
        let end = start + svg[start..].find('"').unwrap();
        let bytes = STANDARD.decode(&svg[start..end]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        pixels
    }

    #[test]
    fn an_empty_region_has_no_mosaic() {
        assert!(mosaic(&figure(&[], scale())).unwrap().is_none());
    }

    #[test]
    fn slices_keep_their_shape_in_millimetres_and_turn_right_to_the_left() {
        let mosaic = mosaic(&figure(&[0, 119], scale())).unwrap().unwrap();
        assert_eq!(mosaic.slices.len(), 2);
        let [first, last] = [&mosaic.slices[0], &mosaic.slices[1]];
        assert!(first.contains("viewBox=\"0 0 100 166.67\""), "10 mm high, 6 mm wide");
        assert!(first.contains("slice 1 of 4 · 0 mm") && last.contains("slice 4 of 4 · S 9 mm"));
        assert_eq!(
            mosaic.caption,
            "Axial, all 2 slices of the region, 3.0 mm thick. Left of the picture is R, right L, \
             top A, bottom P; 6 mm across."
        );
        // Voxel 0 lies most left, posterior and inferior: at the bottom right of the first slice.
        assert_eq!(pixels(first)[87..], Palette::Batlow.colour(0.0));
        assert_eq!(pixels(last)[..3], Palette::Batlow.colour(119.0 / 120.0));
    }

    #[test]
    fn categories_have_their_own_colours_and_what_has_none_is_black() {
        let category = |swatch| Category { name: String::new(), n_voxels: 0, swatch };
        let colours = Colours::Categories([Swatch::Sky, Swatch::Orange].map(category).to_vec());
        let mut figure = figure(&[0, 1, 2, 3], colours);
        figure.values.voxels_mut()[3] = f32::NAN;
        let of = |index| colour(&figure, index, [0.0, 1.0]);
        assert_eq!([of(0), of(1)], [Swatch::Sky, Swatch::Orange].map(Swatch::colour));
        assert_eq!([of(2), of(3)], [[0; 3]; 2]);
    }

    #[test]
    fn at_most_twelve_slices_are_drawn_and_the_choice_is_said() {
        let grid = Grid::new([1, 1, 30], Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap());
        let grid = grid.unwrap();
        let figure = MapFigure {
            values: Volume::from_fn(grid, |_| 1.0),
            region: Mask::full(grid),
            anatomy: Volume::from_fn(grid, |_| 1.0),
            ..figure(&[], scale())
        };
        let mosaic = mosaic(&figure).unwrap().unwrap();
        assert_eq!(mosaic.slices.len(), 12);
        assert!(mosaic.caption.contains("12 of 30 slices"));
        assert!(mosaic.slices[0].contains("slice 2 of 30"), "from the middle of each twelfth");
        assert!(mosaic.slices[11].contains("slice 29 of 30"));
    }
}
