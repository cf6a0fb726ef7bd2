//! Where every voxel of each region went.

use minijinja::context;

use crate::error::Result;
use crate::report::Page;
use crate::report::page::fill;

const TEMPLATE: &str = r"{% if rows %}<div class=scroll><table>
<tr><th>region<th>reason<th>voxels<th>fraction</tr>
{% for row in rows %}<tr><td>{{ row[0] }}<td>{{ row[1] }}<td>{{ row[2] }}<td>{{ row[3] }}</tr>
{% endfor %}</table></div>{% endif %}";

/// One row per region and reason.
pub(super) fn render(page: &Page) -> Result<String> {
    let rows: Vec<[String; 4]> = page
        .exclusions
        .iter()
        .map(|row| {
            let fraction = format!("{:.1} %", 100.0 * row.fraction);
            [row.place.clone(), row.reason.clone(), row.n_voxels.to_string(), fraction]
        })
        .collect();
    fill(TEMPLATE, context! { rows })
}
