//! Statistics over all subjects.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fit::FitPlan;
use super::thickness::ThicknessPlan;
use crate::cohort::{Group, HeadlineTest};
use crate::error::Error;
use crate::pipeline::measure;
use crate::pipeline::spec::{Problems, Section};
use crate::statistics::rank_test::Zeros;

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
    /// Which knees were treated.
    pub treatment: Treatment,
    /// The test whose p stands for a row: `wilcoxon`, `t` or `sign_flip`.
    pub headline_test: &'static str,
    /// What becomes of differences that are 0: `dropped` or `ranked`.
    pub zeros: &'static str,
    /// Hypotheses that are adjusted for each other; all others are exploratory.
    pub family: Vec<FamilyPlan>,
    /// Sessions of the same state, for repeatability.
    pub retest: Option<RetestPlan>,
}

/// Which knees were treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// None.
    None,
    /// The knee that this column of `participants.tsv` names: left, right or both.
    KneeColumn(String),
    /// Both knees of participants with one of these values in the column.
    ParticipantColumn {
        /// Column of `participants.tsv`.
        column: String,
        /// Values that mean treated.
        values: Vec<String>,
    },
}

/// Hypotheses that are adjusted for each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FamilyPlan {
    /// Its name in tables.
    pub name: String,
    /// Endpoints, such as `t2_median`.
    pub endpoints: Vec<String>,
    /// Groups of knees: `control`, `treated`, `all`, `interaction`.
    pub groups: Vec<&'static str>,
    /// Regions; where none is listed, those that a fit or the thickness is measured in as a whole.
    pub regions: Vec<String>,
    /// Layers.
    pub layers: Vec<String>,
}

/// Two sessions between which nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetestPlan {
    /// Earlier session.
    pub first: String,
    /// Later session.
    pub second: String,
}

/// Columns of `knees` that are compared, in the order of rows.
pub const STATISTICS: [&str; 5] = ["median", "p25", "mean", "p75", "sd"];

/// Hypotheses unless others are written.
const PRIMARY: [&str; 2] = ["t2_median", "t2_p25"];

const GROUPS: [(&str, Group); 4] = [
    ("control", Group::Untreated),
    ("treated", Group::Treated),
    ("all", Group::All),
    ("interaction", Group::Interaction),
];

/// The name of a group in tables and pipelines.
pub fn group_name(group: Group) -> &'static str {
    GROUPS.into_iter().find(|(_, other)| *other == group).map_or("", |(name, _)| name)
}

const TESTS: [(&str, HeadlineTest); 3] = [
    ("wilcoxon", HeadlineTest::Wilcoxon),
    ("t", HeadlineTest::T),
    ("sign_flip", HeadlineTest::SignFlip),
];

const ZEROS: [(&str, Zeros); 2] = [("dropped", Zeros::Dropped), ("ranked", Zeros::Ranked)];

impl KneePlan {
    /// Untreated knees at two sessions, everything else as by default.
    pub fn of_sessions(before: &str, after: &str) -> Self {
        Self {
            before: before.into(),
            after: after.into(),
            treatment: Treatment::None,
            headline_test: TESTS[0].0,
            zeros: ZEROS[0].0,
            family: vec![FamilyPlan::primary()],
            retest: None,
        }
    }

    /// The test whose p stands for a row.
    pub fn headline(&self) -> HeadlineTest {
        chosen(&TESTS, self.headline_test)
    }

    /// What becomes of differences that are 0.
    pub fn zeros(&self) -> Zeros {
        chosen(&ZEROS, self.zeros)
    }
}

fn chosen<T: Copy + Default>(choices: &[(&str, T)], name: &str) -> T {
    choices.iter().find(|(other, _)| *other == name).map(|(_, value)| *value).unwrap_or_default()
}

impl FamilyPlan {
    /// Median and P25 of T2 in untreated knees.
    fn primary() -> Self {
        Self {
            name: "primary".into(),
            endpoints: PRIMARY.map(Into::into).to_vec(),
            groups: vec![GROUPS[0].0],
            regions: Vec::new(),
            layers: vec!["full".into()],
        }
    }

    /// Whether `endpoint` in `group` belongs to it, wherever it is measured.
    pub fn holds(&self, endpoint: &str, group: Group) -> bool {
        self.endpoints.iter().any(|name| name == endpoint)
            && self.groups.contains(&group_name(group))
    }
}

impl Treatment {
    /// The column of `participants.tsv` that says it.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::KneeColumn(column) | Self::ParticipantColumn { column, .. } => Some(column),
        }
    }

    /// Whether `knee` of the participant with these `values` was treated.
    pub fn is_of(&self, values: &BTreeMap<String, String>, knee: Option<&str>) -> bool {
        let value = self.column().and_then(|column| values.get(column)).map(String::as_str);
        match (self, value) {
            (Self::KneeColumn(_), Some(side)) => {
                knee.is_some_and(|knee| side == knee || side == "both")
            }
            (Self::ParticipantColumn { values, .. }, Some(value)) => {
                values.iter().any(|treated| treated == value)
            }
            _ => false,
        }
    }
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
    if before.is_some() && before == after {
        section.refuse("after", Error::value("must not be the session of `before`"));
    }
    let treatment = treatment(section);
    let headline_test = section.choice("headline_test", &names(&TESTS), TESTS[0].0);
    let zeros = section.choice("zeros", &names(&ZEROS), ZEROS[0].0);
    let family = families(section);
    let retest = retest(section);
    let (before, after) = (before?, after?);
    Some(KneePlan { before, after, treatment, headline_test, zeros, family, retest })
}

fn names<T: Copy, const N: usize>(
    choices: &[(&'static str, T); N],
) -> [(&'static str, &'static str); N] {
    choices.map(|(name, _)| (name, name))
}

fn treatment(section: &Section<'_>) -> Treatment {
    let by_knee = section.text("treated_knee_column");
    let by_participant = section.text("treated_participant_column");
    let values = section.texts("treated_values");
    if values.is_some() && by_participant.is_none() {
        let error = Error::value("belongs to `treated_participant_column`, which is not given");
        section.refuse("treated_values", error);
    }
    match (by_knee, by_participant) {
        (Some(_), Some(_)) => {
            let error = Error::value(
                "only one of it and `treated_knee_column` can say which knees",
            )
            .hint("a treated knee of each participant, or both knees of treated participants");
            section.refuse("treated_participant_column", error);
            Treatment::None
        }
        (Some(column), None) => Treatment::KneeColumn(column),
        (None, Some(column)) => {
            let values = values.unwrap_or_else(|| vec!["treated".into()]);
            Treatment::ParticipantColumn { column, values }
        }
        (None, None) => Treatment::None,
    }
}

fn retest(section: &Section<'_>) -> Option<RetestPlan> {
    let table = section.section("retest");
    if !table.is_present() {
        return None;
    }
    let (first, second) = (table.required_text("first"), table.required_text("second"));
    if first.is_some() && first == second {
        table.refuse("second", Error::value("must not be the session of `first`"));
    }
    table.finish();
    Some(RetestPlan { first: first?, second: second? })
}

fn families(section: &Section<'_>) -> Vec<FamilyPlan> {
    let tables = section.sections("family");
    if tables.is_empty() {
        return vec![FamilyPlan::primary()];
    }
    let families: Vec<FamilyPlan> = tables.into_iter().filter_map(family).collect();
    for (index, family) in families.iter().enumerate() {
        let twice = |other: &FamilyPlan| {
            let shares = |endpoint: &&String| other.endpoints.contains(endpoint);
            other.name == family.name
                || (family.endpoints.iter().any(|endpoint| shares(&endpoint))
                    && family.groups.iter().any(|group| other.groups.contains(group)))
        };
        if families[..index].iter().any(twice) {
            let text = "names a family or a hypothesis that an earlier `[[cohort.family]]` has";
            section.refuse(&format!("family[{index}]"), Error::value(text));
        }
    }
    families
}

fn family(table: Section<'_>) -> Option<FamilyPlan> {
    let name = table.required_text("name");
    let endpoints = table.texts("endpoints").unwrap_or_default();
    let groups = table.texts("groups").unwrap_or_else(|| vec![GROUPS[0].0.to_owned()]);
    if endpoints.is_empty() {
        table.refuse("endpoints", Error::value("is missing: a list such as [\"t2_median\"]"));
    }
    let known: Vec<&'static str> = groups
        .iter()
        .filter_map(|group| GROUPS.into_iter().find(|(name, _)| name == group).map(|(n, _)| n))
        .collect();
    if known.len() < groups.len() || groups.is_empty() {
        let text = format!("{groups:?} must be some of control, treated, all, interaction");
        table.refuse("groups", Error::value(text));
    }
    let regions = table.texts("regions").unwrap_or_default();
    let layers = table.texts("layers").unwrap_or_else(|| vec!["full".into()]);
    table.finish();
    Some(FamilyPlan { name: name?, endpoints, groups: known, regions, layers })
}

/// Refuses endpoints that nothing in the pipeline measures.
pub(super) fn check_endpoints(
    cohort: Option<&CohortPlan>,
    fits: &[FitPlan],
    thickness: Option<&ThicknessPlan>,
    problems: &Problems,
) {
    let Some(CohortPlan::Knees(knees)) = cohort else { return };
    let headline = |fit: &FitPlan| {
        let parameters = measure::named(&fit.model).ok()?.parameters;
        parameters.first().map(|parameter| parameter.short_name)
    };
    let mut measured: Vec<&str> = fits.iter().filter_map(headline).collect();
    measured.extend(thickness.map(|_| "thickness"));
    for (index, family) in knees.family.iter().enumerate() {
        for (place, endpoint) in family.endpoints.iter().enumerate() {
            let is_measured = endpoint.rsplit_once('_').is_some_and(|(parameter, statistic)| {
                measured.contains(&parameter) && STATISTICS.contains(&statistic)
            });
            // What is compared unless something else is asked for need not be measured.
            let is_default = family.name == "primary" && family.endpoints == PRIMARY;
            if !(is_measured || is_default) {
                let error = Error::value(format!("`{endpoint}` is not measured"))
                    .at_field(format!("cohort.family[{index}].endpoints[{place}]"))
                    .hint(format!(
                        "a parameter ({}) and a statistic ({}) joined by `_`",
                        measured.join(", "),
                        STATISTICS.join(", ")
                    ));
                problems.push(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::pipeline::plan::Plan;
    use crate::pipeline::spec::Spec;

    const STUDY: &str = "[study]\ndataset = \"bids\"\n[[fit]]\nmodel = \"t2\"\n\
                         series = { suffix = \"MESE\" }\n[cohort]\nkind = \"knees\"\n\
                         before = \"ses-a\"\nafter = \"ses-b\"\n";

    fn read(cohort: &str) -> Result<KneePlan, Vec<String>> {
        let spec = Spec::parse(Path::new("study/knee.toml"), format!("{STUDY}{cohort}"), &[]);
        let plan = spec.and_then(|spec| Plan::check(&spec));
        match plan {
            Ok(plan) => match plan.cohort {
                Some(CohortPlan::Knees(knees)) => {
                    assert!(toml::to_string(&knees).is_ok());
                    Ok(knees)
                }
                _ => Err(Vec::new()),
            },
            Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn an_unwritten_design_is_untreated_knees_with_two_hypotheses() {
        let plan = read("").unwrap();
        assert_eq!(plan, KneePlan::of_sessions("ses-a", "ses-b"));
        assert!(plan.family[0].holds("t2_p25", Group::Untreated));
        assert!(!plan.family[0].holds("t2_p25", Group::Treated));
        assert!(!plan.family[0].holds("t2_mean", Group::Untreated));
    }

    #[test]
    fn a_design_is_read_as_written() {
        let plan = read(
            "treated_participant_column = \"arm\"\ntreated_values = [\"ha\"]\n\
             headline_test = \"t\"\nzeros = \"ranked\"\n\
             [cohort.retest]\nfirst = \"ses-a\"\nsecond = \"ses-c\"\n\
             [[cohort.family]]\nname = \"main\"\nendpoints = [\"t2_mean\"]\n\
             groups = [\"all\", \"interaction\"]\nregions = [\"femur\"]\n\
             [[cohort.family]]\nname = \"other\"\nendpoints = [\"t2_mean\"]\n",
        )
        .unwrap();
        assert_eq!((plan.headline(), plan.zeros()), (HeadlineTest::T, Zeros::Ranked));
        assert_eq!(plan.treatment.column(), Some("arm"));
        assert_eq!(plan.family[0].groups, ["all", "interaction"]);
        assert_eq!(plan.family[1].groups, ["control"]);
        assert_eq!(plan.retest.unwrap().second, "ses-c");
    }

    #[test]
    fn everything_that_contradicts_itself_is_said_at_once() {
        let errors = read(
            "treated_participant_column = \"arm\"\ntreated_knee_column = \"knee\"\n\
             headline_test = \"u\"\n\
             [cohort.retest]\nfirst = \"ses-a\"\nsecond = \"ses-a\"\n\
             [[cohort.family]]\nname = \"a\"\nendpoints = [\"t3_mean\"]\ngroups = [\"some\"]\n\
             [[cohort.family]]\nname = \"b\"\nendpoints = [\"t2_mean\", \"t2_mode\"]\n\
             [[cohort.family]]\nname = \"c\"\nendpoints = [\"t2_mean\"]\n",
        )
        .unwrap_err()
        .join("\n");
        for part in [
            "`cohort.treated_participant_column`",
            "`cohort.headline_test`: `u` is not one of wilcoxon, t, sign_flip",
            "`cohort.retest.second`: must not be the session of `first`",
            "`cohort.family[0].endpoints[0]`: `t3_mean` is not measured",
            "`cohort.family[0].groups`",
            "`cohort.family[1].endpoints[1]`: `t2_mode` is not measured",
            "`cohort.family[2]`",
        ] {
            assert!(errors.contains(part), "{part} is not in\n{errors}");
        }
        let alone = read("treated_values = [\"ha\"]\n").unwrap_err();
        assert!(alone[0].contains("treated_values"), "{alone:?}");
    }

    #[test]
    fn a_knee_is_treated_by_its_side_or_its_participant() {
        let values = |value: &str| BTreeMap::from([("arm".to_owned(), value.to_owned())]);
        let by_knee = Treatment::KneeColumn("arm".into());
        assert!(by_knee.is_of(&values("left"), Some("left")));
        assert!(!by_knee.is_of(&values("left"), Some("right")));
        assert!(by_knee.is_of(&values("both"), Some("right")));
        assert!(!by_knee.is_of(&values("n/a"), Some("right")));
        assert!(!by_knee.is_of(&values("left"), None));
        let treated = vec!["ha".to_owned()];
        let by_arm = Treatment::ParticipantColumn { column: "arm".into(), values: treated };
        assert!(by_arm.is_of(&values("ha"), Some("left")) && by_arm.is_of(&values("ha"), None));
        assert!(!by_arm.is_of(&values("saline"), Some("left")));
        assert!(!by_arm.is_of(&BTreeMap::new(), Some("left")));
        assert!(!Treatment::None.is_of(&values("ha"), Some("left")));
    }
}
