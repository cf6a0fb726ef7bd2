//! Statistics over all subjects.

use serde::Serialize;

use crate::error::Error;
use crate::pipeline::spec::Section;

/// What is compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CohortPlan {
    /// One tumour per participant, in classes.
    Tumours(TumourPlan),
    /// Knees before and after, treated and not.
    Knees(KneePlan),
}

/// Tumours in classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TumourPlan {
    /// Column of `participants.tsv` that holds the class.
    pub class_column: String,
    /// Classes in the order of the tables; any other class is put after them.
    pub classes: Vec<String>,
    /// The class that the receiver operating characteristic tells from all others.
    pub positive_class: Option<String>,
}

/// Knees before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KneePlan {
    /// Session before.
    pub before: String,
    /// Session after.
    pub after: String,
    /// Column of `participants.tsv` that names the treated knee; none where no knee was treated.
    pub treated_knee_column: Option<String>,
}

/// Reads `[cohort]`; none where it is not written.
pub(super) fn cohort(root: &Section<'_>) -> Option<CohortPlan> {
    let section = root.section("cohort");
    if !section.is_present() {
        return None;
    }
    let kind = section.choice("kind", &[("tumours", Some(true)), ("knees", Some(false))], None);
    let plan = match kind {
        Some(true) => Some(CohortPlan::Tumours(tumours(&section))),
        Some(false) => knees(&section).map(CohortPlan::Knees),
        None => {
            if section.text("kind").is_none() {
                section.refuse("kind", Error::value("is missing: tumours or knees"));
            }
            return None;
        }
    };
    section.finish();
    plan
}

fn tumours(section: &Section<'_>) -> TumourPlan {
    TumourPlan {
        class_column: section.text("class_column").unwrap_or_else(|| "class".into()),
        classes: section.texts("classes").unwrap_or_default(),
        positive_class: section.text("positive_class"),
    }
}

fn knees(section: &Section<'_>) -> Option<KneePlan> {
    let before = section.required_text("before");
    let after = section.required_text("after");
    let treated_knee_column = section.text("treated_knee_column");
    if before.is_some() && before == after {
        section.refuse("after", Error::value("must not be the session of `before`"));
    }
    Some(KneePlan { before: before?, after: after?, treated_knee_column })
}
