//! Maps in colour over anatomy, with their colour bars or legends.

use minijinja::context;

use crate::error::Result;
use crate::report::page::fill;
use crate::report::{Colours, MapFigure, Page, chart, mosaic};

const TEMPLATE: &str = r#"{% for figure in figures %}<figure>
<h3>{{ figure.title }}</h3>
{% if figure.slices %}<div class="slices">{% for slice in figure.slices %}{{ slice|safe }}
{% endfor %}</div>
<div class="key">{{ figure.key|safe }}</div>
<figcaption>{{ figure.caption }} {{ figure.view }}</figcaption>
{% else %}<p class="soft">Not shown: the region has no voxel.</p>{% endif %}
</figure>{% endfor %}"#;

/// One mosaic per map; said where there is none to show.
pub(super) fn render(page: &Page) -> Result<String> {
    let mut figures = Vec::new();
    for map in &page.maps {
        let (slices, view) = match mosaic::mosaic(map)? {
            Some(mosaic) => (mosaic.slices, mosaic.caption),
            None => (Vec::new(), String::new()),
        };
        figures.push(context! {
            title => map.title.clone(), caption => map.caption.clone(), key => key(map), slices, view,
        });
    }
    fill(TEMPLATE, context! { figures })
}

fn key(map: &MapFigure) -> String {
    match &map.colours {
        Colours::Scale { palette, window, unit } => chart::colour_bar(*palette, *window, unit),
        Colours::Categories(categories) => chart::legend(categories),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Affine, Grid, Mask, Volume};
    use crate::report::Palette;

    fn page(inside: &[usize]) -> Page {
        let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
        let grid = Grid::new([2, 2, 2], affine).unwrap();
        let map = MapFigure {
            title: "t2 <knee>".into(),
            caption: "Every voxel.".into(),
            values: Volume::from_fn(grid, |_| 40.0),
            region: Mask::from_indices(grid, inside).unwrap(),
            anatomy: Volume::from_fn(grid, |_| 1.0),
            grey: None,
            colours: Colours::Scale {
                palette: Palette::Navia,
                window: [0.0, 100.0],
                unit: "ms".into(),
            },
        };
        Page { maps: vec![map], ..Page::default() }
    }

    #[test]
    fn a_map_has_slices_a_colour_bar_with_its_unit_and_its_directions() {
        let html = render(&page(&[0, 7])).unwrap();
        assert_eq!(html.matches("data:image/png;base64,").count(), 2);
        assert!(html.contains("<span>ms</span>") && html.contains("Left of the picture is R"));
        assert!(html.contains("t2 &lt;knee&gt;") && !html.contains("<knee>"));
    }

    #[test]
    fn a_map_without_voxels_is_said_to_be_missing() {
        let html = render(&page(&[])).unwrap();
        assert!(html.contains("Not shown: the region has no voxel."));
    }
}
