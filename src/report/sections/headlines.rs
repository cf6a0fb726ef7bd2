//! The numbers that matter, the method beside the plain voxel-by-voxel answer.

use minijinja::context;

use crate::error::Result;
use crate::report::Page;
use crate::report::page::fill;

const TEMPLATE: &str = r#"{% if cards %}<div class="cards">{% for card in cards %}
<div class="card"><b>{{ card.label }}</b><dl>{% for answer in card.answers %}
<dt>{{ answer.name }}<dd><b>{{ answer.value }}</b>{% if answer.has_number %} <span class="whole">{{ card.unit }}</span>{% endif %}
{%- if answer.percent %} <span class="whole">({{ answer.percent }})</span>{% endif %}
<dd class="soft">{{ answer.detail }}{% endfor %}</dl>
<div class="soft">{{ card.note }}</div></div>
{% endfor %}</div>{% endif %}"#;

/// One card per headline.
pub(super) fn render(page: &Page) -> Result<String> {
    let cards: Vec<_> = page
        .headlines
        .iter()
        .map(|headline| {
            let answers: Vec<_> = headline
                .answers
                .iter()
                .map(|answer| {
                    context! {
                        name => answer.name.clone(),
                        value => answer.value.clone(),
                        has_number => answer.value.starts_with(|c: char| c.is_ascii_digit() || c == '-'),
                        percent => answer.percent.clone(),
                        detail => answer.detail.clone(),
                    }
                })
                .collect();
            context! {
                label => headline.label.clone(), unit => headline.unit.clone(), answers,
                note => headline.note.clone(),
            }
        })
        .collect();
    fill(TEMPLATE, context! { cards })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Answer, Headline};

    #[test]
    fn a_card_has_unit_and_percent_beside_a_number_and_no_unit_beside_a_word() {
        let answer = |value: &str, percent: &str| Answer {
            name: "way".into(),
            value: value.into(),
            percent: percent.into(),
            detail: String::new(),
        };
        let headline = Headline {
            label: "ADC".into(),
            unit: "10⁻³ mm²/s".into(),
            answers: vec![answer("1.20 ± 0.12", "10 %"), answer("insufficient", "")],
            note: String::new(),
        };
        let html = render(&Page { headlines: vec![headline], ..Page::default() }).unwrap();
        assert!(html.contains("<b>1.20 ± 0.12</b> <span class=\"whole\">10⁻³ mm²&#x2f;s</span> <span class=\"whole\">(10 %)</span>"), "{html}");
        assert!(!html.contains("<b>insufficient</b> <span"), "{html}");
    }
}
