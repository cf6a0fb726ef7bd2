//! Charts of the cohort.

use minijinja::context;

use crate::error::Result;
use crate::report::page::fill;
use crate::report::{Figure, Page, chart};

const TEMPLATE: &str = r#"{% if figures %}<div class="charts">{% for figure in figures %}<figure>
<h3>{{ figure.title }}</h3>
{% if figure.svg %}{{ figure.svg|safe }}{% else %}<p class="soft">Not shown: no value.</p>{% endif %}
<figcaption>{{ figure.caption }}</figcaption>
</figure>{% endfor %}</div>{% endif %}"#;

/// One chart each; said where there is nothing to show.
pub(super) fn render(page: &Page) -> Result<String> {
    let figures: Vec<_> = page
        .figures
        .iter()
        .map(|figure| {
            let (title, caption, svg) = match figure {
                Figure::Dots(dots) => (&dots.title, &dots.caption, chart::dots(dots)),
                Figure::Pairs(pairs) => (&pairs.title, &pairs.caption, chart::pairs(pairs)),
            };
            context! { title => title.clone(), caption => caption.clone(), svg }
        })
        .collect();
    fill(TEMPLATE, context! { figures })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{DotFigure, PairFigure};

    #[test]
    fn charts_without_values_are_said_to_be_missing() {
        let figures =
            vec![Figure::Dots(DotFigure::default()), Figure::Pairs(PairFigure::default())];
        let html = render(&Page { figures, ..Page::default() }).unwrap();
        assert_eq!(html.matches("Not shown: no value.").count(), 2);
    }
}
