//! What went in, how it was done, and what it can be traced to.

use minijinja::context;

use crate::error::Result;
use crate::report::Page;
use crate::report::page::fill;

const PAIRS: &str = r#"{% if pairs %}<div class=scroll><table>{% for pair in pairs %}
<tr><th>{{ pair[0] }}<td class="wrap">{{ pair[1] }}</tr>{% endfor %}</table></div>{% endif %}"#;

const SENTENCES: &str = r"{% if sentences %}<p>{{ sentences|join(' ') }}</p>{% endif %}";

/// Inputs and what was played out.
pub(super) fn inputs(page: &Page) -> Result<String> {
    fill(PAIRS, context! { pairs => page.inputs.clone() })
}

/// Version, plan and hashes.
pub(super) fn provenance(page: &Page) -> Result<String> {
    fill(PAIRS, context! { pairs => page.provenance.clone() })
}

/// One paragraph.
pub(super) fn methods(page: &Page) -> Result<String> {
    fill(SENTENCES, context! { sentences => page.methods.clone() })
}
