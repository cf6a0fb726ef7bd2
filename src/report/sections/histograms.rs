//! Distributions before and after the gate.

use minijinja::context;

use crate::error::Result;
use crate::report::page::fill;
use crate::report::{Page, chart};

const TEMPLATE: &str = r#"{% if figures %}<div class="charts">{% for figure in figures %}<figure>
<h3>{{ figure.title }}</h3>
{% if figure.svg %}{{ figure.svg|safe }}{% else %}<p class="soft">Not shown: no voxel has a value.</p>{% endif %}
</figure>{% endfor %}</div><p class="soft">Dashed lines are means.</p>{% endif %}"#;

/// One chart per distribution; said where there is none to show.
pub(super) fn render(page: &Page) -> Result<String> {
    let figures: Vec<_> = page
        .histograms
        .iter()
        .map(|figure| context! { title => figure.title.clone(), svg => chart::histogram(figure) })
        .collect();
    fill(TEMPLATE, context! { figures })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::HistogramFigure;

    #[test]
    fn a_distribution_without_values_is_said_to_be_missing() {
        let page = Page { histograms: vec![HistogramFigure::default()], ..Page::default() };
        assert!(render(&page).unwrap().contains("Not shown: no voxel has a value."));
        assert_eq!(render(&Page::default()).unwrap(), "");
    }
}
