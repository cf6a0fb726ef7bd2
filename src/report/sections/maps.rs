//! Maps in colour over anatomy, with their colour bars.

use minijinja::context;

use crate::error::Result;
use crate::report::page::fill;
use crate::report::{Page, chart, mosaic};

const TEMPLATE: &str = r#"{% for figure in figures %}<figure>
<h3>{{ figure.title }}</h3>
<img alt="{{ figure.title }}" src="{{ figure.address|safe }}">
<div>{{ figure.bar|safe }}</div>
<figcaption>{{ figure.caption }}</figcaption>
</figure>{% endfor %}"#;

/// One mosaic per map whose region is not empty.
pub(super) fn render(page: &Page) -> Result<String> {
    let mut figures = Vec::new();
    for map in &page.maps {
        if let Some(address) = mosaic::data_address(map)? {
            let bar = chart::colour_bar(map.palette, map.window, &map.unit);
            figures.push(context! { title => map.title.clone(), caption => map.caption.clone(), address, bar });
        }
    }
    fill(TEMPLATE, context! { figures })
}
