//! The numbers that matter, each beside the plain voxel-by-voxel answer.

use minijinja::context;

use crate::error::Result;
use crate::report::Page;
use crate::report::page::fill;

const TEMPLATE: &str = r#"{% if cards %}<div class="cards">{% for card in cards %}
<div class="card"><div>{{ card.label }}</div><b>{{ card.value }}</b> {{ card.unit }}
<div><small>{{ card.plain }}</small></div><div><small>{{ card.note }}</small></div></div>
{% endfor %}</div>{% endif %}"#;

/// One card per headline.
pub(super) fn render(page: &Page) -> Result<String> {
    let cards: Vec<_> = page
        .headlines
        .iter()
        .map(|h| {
            context! {
                label => h.label.clone(), value => h.value.clone(), unit => h.unit.clone(), plain => h.plain.clone(),
                note => h.note.clone(),
            }
        })
        .collect();
    fill(TEMPLATE, context! { cards })
}
