//! Tables, with numbers to the right; long ones are folded.

use minijinja::{Value, context};

use crate::error::Result;
use crate::report::page::fill;
use crate::report::{Cell, Page, PageTable};

/// Rows of the longest table that is shown unfolded.
const ROWS_UNFOLDED: usize = 60;

const TEMPLATE: &str = r#"{% for table in tables %}{% if table.title %}<h3>{{ table.title }}</h3>{% endif %}
{% if table.is_long %}<details><summary>{{ table.rows|length }} rows</summary>{% endif -%}
<div class="scroll"><table><thead><tr>
{%- for column in table.columns %}<th{% if column[1] %} class="n"{% endif %}>{{ column[0] }}{% endfor %}</tr></thead><tbody>
{% for row in table.rows %}<tr>{% for cell in row %}<td{% if cell.class %} class="{{ cell.class }}"{% endif %}>
{%- if cell.link %}<a href="{{ cell.link }}">{{ cell.text }}</a>{% else %}{{ cell.text }}{% endif %}{% endfor %}</tr>
{% endfor %}</tbody></table></div>{% if table.is_long %}</details>{% endif %}
{% if table.caption %}<p class="soft">{{ table.caption }}</p>{% endif %}{% endfor %}"#;

/// The tables of the abstract.
pub(super) fn summary(page: &Page) -> Result<String> {
    all(&page.summary)
}

/// The tables in detail.
pub(super) fn details(page: &Page) -> Result<String> {
    all(&page.tables)
}

/// Every table that has rows.
pub(super) fn all(tables: &[PageTable]) -> Result<String> {
    let tables: Vec<_> = tables.iter().filter(|own| !own.rows.is_empty()).map(shown).collect();
    fill(TEMPLATE, context! { tables })
}

fn shown(table: &PageTable) -> Value {
    let are_numbers: Vec<bool> =
        (0..table.columns.len()).map(|column| is_of_numbers(table, column)).collect();
    let columns: Vec<_> = table.columns.iter().cloned().zip(are_numbers.clone()).collect();
    let cell = |(cell, &is_number): (&Cell, &bool)| {
        let class = match (cell.is_alarming, is_number) {
            (true, _) => "alarm",
            (false, true) => "n",
            (false, false) => "",
        };
        context! { text => cell.text.clone(), link => cell.link.clone(), class }
    };
    let rows: Vec<Vec<Value>> =
        table.rows.iter().map(|row| row.iter().zip(&are_numbers).map(cell).collect()).collect();
    context! {
        title => table.title.clone(), caption => table.caption.clone(), columns, rows,
        is_long => table.rows.len() > ROWS_UNFOLDED,
    }
}

/// Whether at least half of the cells that say something are numbers, or none says anything.
fn is_of_numbers(table: &PageTable, column: usize) -> bool {
    let texts = table.rows.iter().filter_map(|row| row.get(column));
    let said: Vec<&str> =
        texts.map(|cell| cell.text.as_str()).filter(|text| !["", "–"].contains(text)).collect();
    let n_numbers = said.iter().filter(|text| is_number(text)).count();
    2 * n_numbers >= said.len()
}

fn is_number(text: &str) -> bool {
    let bare = text.trim_start_matches(['-', '−', '<', ' ']);
    bare.starts_with(|first: char| first.is_ascii_digit()) && !bare.contains('⁻')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(n_rows: usize) -> Page {
        let row = vec![
            Cell::linked("sub-01", "sub-01.html"),
            "< 0.0001".into(),
            Cell::alarming("failed: no <mask>"),
            "10⁻³ mm²/s".into(),
            "–".into(),
        ];
        let table = PageTable {
            columns: ["participant", "p", "status", "unit", "interval"].map(String::from).to_vec(),
            rows: vec![row; n_rows],
            ..PageTable::default()
        };
        Page { tables: vec![table], ..Page::default() }
    }

    #[test]
    fn numbers_stand_right_links_lead_on_and_failures_are_red() {
        let html = details(&page(1)).unwrap();
        assert!(html.contains("<td class=\"n\">&lt; 0.0001"), "{html}");
        assert!(html.contains("<th class=\"n\">p"), "{html}");
        assert!(html.contains("<td><a href=\"sub-01.html\">sub-01</a>"), "{html}");
        assert!(html.contains("<td class=\"alarm\">failed: no &lt;mask&gt;"), "{html}");
        assert!(html.contains("<td>10⁻³ mm²&#x2f;s"), "{html}");
        assert!(
            html.contains("<td class=\"n\">–"),
            "a missing number stands where numbers do: {html}"
        );
    }

    #[test]
    fn a_long_table_is_folded_and_an_empty_one_left_out() {
        assert!(!details(&page(60)).unwrap().contains("<details>"));
        assert!(details(&page(61)).unwrap().contains("<summary>61 rows</summary>"));
        assert_eq!(details(&page(0)).unwrap(), "");
    }
}
