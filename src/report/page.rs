//! The shell of a page: head, style, sections in order.

use minijinja::{AutoEscape, Environment, Value, context};

use super::sections::SECTIONS;
use super::{Level, Page};
use crate::error::{Error, Result};

const SHELL: &str = include_str!("page.html");

/// Puts `values` into `template`; text is escaped unless the template says otherwise.
pub(super) fn fill(template: &str, values: Value) -> Result<String> {
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
            notices => notices(page),
            links => page.links.clone(),
            sections,
        },
    )
}

/// The gravest first, else in the order they were given.
fn notices(page: &Page) -> Vec<Value> {
    let of = |level: Level, name: &'static str| {
        let own = page.notices.iter().filter(move |notice| notice.level == level);
        own.map(move |notice| {
            context! { level => name, text => notice.text.clone(), places => notice.places.clone() }
        })
    };
    of(Level::Failure, "failure")
        .chain(of(Level::Remark, "remark"))
        .chain(of(Level::Warning, "warning"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Answer, Headline, Notice};

    fn page() -> Page {
        Page {
            title: "<script>alert(1)</script>".into(),
            study: "neuroblastoma".into(),
            notices: vec![
                Notice::of_page(Level::Remark, "simulated"),
                Notice::of_page(Level::Failure, "sub-02 is missing"),
            ],
            headlines: vec![Headline {
                label: "ADC".into(),
                unit: "10⁻³ mm²/s".into(),
                answers: vec![Answer {
                    name: "reported habitat".into(),
                    value: "1.20 ± 0.12".into(),
                    percent: "10 %".into(),
                    detail: "n = 852".into(),
                }],
                note: String::new(),
            }],
            ..Page::default()
        }
    }

    #[test]
    fn a_page_is_closed_to_scripts_and_escapes_what_it_is_given() {
        let html = render(&page()).unwrap();
        assert!(html.contains("default-src 'none'") && !html.contains("<script"));
        assert!(html.contains("1.20 ± 0.12") && html.contains("id=\"results\""));
        assert!(!html.contains("id=\"maps\""), "an empty section is left out");
        assert!(!html.contains("http://") && !html.contains("src="), "nothing is loaded");
    }

    #[test]
    fn failures_are_said_first_and_in_their_own_colour() {
        let html = render(&page()).unwrap();
        let failure = html.find("<p class=\"notice failure\">sub-02 is missing").unwrap();
        assert!(failure < html.find("<p class=\"notice remark\">simulated").unwrap());
    }

    #[test]
    fn the_same_page_is_the_same_bytes() {
        assert_eq!(render(&page()).unwrap(), render(&page()).unwrap());
    }
}
