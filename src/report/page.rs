//! The shell of a page: head, style, sections in order.

use minijinja::{AutoEscape, Environment, context};

use super::Page;
use super::sections::SECTIONS;
use crate::error::{Error, Result};

const SHELL: &str = include_str!("page.html");

/// Puts `values` into `template`; text is escaped unless the template says otherwise.
pub(super) fn fill(template: &str, values: minijinja::Value) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment
        .render_str(template, values)
        .map_err(|error| Error::internal(format!("page cannot be made: {error:#}")))
}

/// The whole page.
pub(super) fn render(page: &Page) -> Result<String> {
    let mut sections = Vec::new();
    for section in SECTIONS {
        let body = (section.render)(page)?;
        if !body.is_empty() {
            sections.push(context! { name => section.name, heading => section.heading, body });
        }
    }
    fill(
        SHELL,
        context! {
            title => page.title.clone(),
            study => page.study.clone(),
            notices => page.notices.clone(),
            links => page.links.clone(),
            sections,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Headline;

    #[test]
    fn a_page_is_closed_to_scripts_and_escapes_what_it_is_given() {
        let page = Page {
            title: "<script>alert(1)</script>".into(),
            study: "neuroblastoma".into(),
            headlines: vec![Headline {
                label: "ADC".into(),
                value: "1.20 ± 0.12".into(),
                unit: "10⁻³ mm²/s".into(),
                plain: "voxel by voxel 1.60".into(),
                note: String::new(),
            }],
            ..Page::default()
        };
        let html = render(&page).unwrap();
        assert!(html.contains("default-src 'none'") && !html.contains("<script"));
        assert!(html.contains("1.20 ± 0.12") && html.contains("id=\"results\""));
        assert!(!html.contains("id=\"maps\""), "an empty section is left out");
    }
}
