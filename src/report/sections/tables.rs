//! Tables of the cohort.

use minijinja::context;

use crate::error::Result;
use crate::report::Page;
use crate::report::page::fill;

const TEMPLATE: &str = r"{% for table in tables %}<h3>{{ table.title }}</h3><div class=scroll><table>
<tr>{% for column in table.columns %}<th>{{ column }}{% endfor %}</tr>
{% for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}{% endfor %}</tr>
{% endfor %}</table></div><p class=soft>{{ table.caption }}</p>{% endfor %}";

/// Every table.
pub(super) fn render(page: &Page) -> Result<String> {
    let tables: Vec<_> = page
        .tables
        .iter()
        .map(|table| {
            context! {
                title => table.title.clone(), caption => table.caption.clone(), columns => table.columns.clone(),
                rows => table.rows.clone(),
            }
        })
        .collect();
    fill(TEMPLATE, context! { tables })
}
