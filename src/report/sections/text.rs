//! What went in, how it was done, and what it can be traced to.

use minijinja::context;

use crate::error::Result;
use crate::report::Page;
use crate::report::page::fill;

const BLOCKS: &str = r#"{% for block in blocks %}{% if block[0] %}<h3>{{ block[0] }}</h3>{% endif %}
<div class="scroll"><table class="facts"><tbody>{% for pair in block[1] %}
<tr><th>{{ pair[0] }}<td class="wrap">{{ pair[1] }}</tr>{% endfor %}</tbody></table></div>{% endfor %}"#;

const SENTENCES: &str = r"{% for sentence in sentences %}<p>{{ sentence }}</p>{% endfor %}";

/// Inputs and what was played out.
pub(super) fn inputs(page: &Page) -> Result<String> {
    let blocks: Vec<_> =
        page.inputs.iter().map(|facts| (facts.title.clone(), facts.pairs.clone())).collect();
    fill(BLOCKS, context! { blocks })
}

/// Version, plan and hashes.
pub(super) fn provenance(page: &Page) -> Result<String> {
    if page.provenance.is_empty() {
        return Ok(String::new());
    }
    fill(BLOCKS, context! { blocks => [(String::new(), page.provenance.clone())] })
}

/// One paragraph per step.
pub(super) fn methods(page: &Page) -> Result<String> {
    fill(SENTENCES, context! { sentences => page.methods.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Facts;

    #[test]
    fn inputs_are_one_block_per_fit() {
        let facts = |title: &str| Facts {
            title: title.into(),
            pairs: vec![("grid".into(), "70 × 47 × 9".into())],
        };
        let page =
            Page { inputs: vec![facts("t2 · right"), facts("t2 · left")], ..Page::default() };
        let html = inputs(&page).unwrap();
        assert_eq!(html.matches("<table").count(), 2);
        assert!(html.contains("<h3>t2 · left</h3>"));
        assert_eq!(inputs(&Page::default()).unwrap(), "");
    }
}
