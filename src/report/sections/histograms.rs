//! Distributions before and after the gate.

use minijinja::context;

use crate::error::Result;
use crate::report::page::fill;
use crate::report::{Page, chart};

const TEMPLATE: &str = r"{% for figure in figures %}<figure>
<h3>{{ figure.title }}</h3>{{ figure.svg|safe }}
</figure>{% endfor %}";

/// One chart per distribution.
pub(super) fn render(page: &Page) -> Result<String> {
    let figures: Vec<_> = page
        .histograms
        .iter()
        .map(|figure| context! { title => figure.title.clone(), svg => chart::histogram(figure) })
        .collect();
    fill(TEMPLATE, context! { figures })
}
