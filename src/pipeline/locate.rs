//! Which files belong to which session: from queries and paths to work to be done.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::load::{SeriesPaths, SeriesSource, bids_query, file_name};
use super::measure;
use super::plan::{ArteryCurve, FitPlan, InputPlan, Plan, QueryPlan, T10};
use crate::error::{Error, ErrorKind, Result};
use crate::io::bids::{Dataset, Filter, Visit, VisitFiles};

/// One fit of one series.
#[derive(Debug, Clone)]
pub struct FitItem {
    /// Place of its settings in the plan.
    pub fit: usize,
    /// Knee it shows.
    pub knee: Option<String>,
    /// The series.
    pub source: SeriesSource,
    /// The mask or label image of the region.
    pub region: Option<PathBuf>,
    /// Map of T10 in s.
    pub t10_map: Option<PathBuf>,
    /// The mask of the artery.
    pub artery: Option<PathBuf>,
    /// The image that the region was drawn on, where the two are registered.
    pub register_from: Option<PathBuf>,
    /// Map of the transmit field.
    pub b1_map: Option<PathBuf>,
}

/// One label image whose cartilage is measured.
#[derive(Debug, Clone)]
pub struct ThicknessItem {
    /// Knee it shows.
    pub knee: Option<String>,
    /// The label image.
    pub labels: PathBuf,
}

/// Everything to be done in one session of one participant.
#[derive(Debug, Clone)]
pub struct SessionItem {
    /// Such as `sub-01`.
    pub participant_id: String,
    /// Such as `ses-pre`.
    pub session_id: Option<String>,
    /// What `participants.tsv` and `sessions.tsv` say.
    pub values: BTreeMap<String, String>,
    /// Folder that sources are named relative to.
    pub root: PathBuf,
    /// Fits.
    pub fits: Vec<FitItem>,
    /// Label images.
    pub thickness: Vec<ThicknessItem>,
}

/// A session and its work, or why it cannot be worked on.
#[derive(Debug)]
pub struct Located {
    /// `sub-01_ses-pre`.
    pub name: String,
    /// Such as `sub-01`.
    pub participant_id: String,
    /// Such as `ses-pre`.
    pub session_id: Option<String>,
    /// Its work.
    pub item: Result<SessionItem>,
}

impl SessionItem {
    /// `sub-01_ses-pre`, or `sub-01` where there are no sessions.
    pub fn name(&self) -> String {
        session_name(&self.participant_id, self.session_id.as_deref())
    }

    /// Every file that is read.
    pub fn files(&self) -> Vec<PathBuf> {
        let of_fits = self.fits.iter().flat_map(|fit| {
            let others = [&fit.region, &fit.t10_map, &fit.artery, &fit.register_from, &fit.b1_map];
            fit.source.images.iter().chain(others.into_iter().flatten()).cloned()
        });
        let mut files: Vec<PathBuf> =
            of_fits.chain(self.thickness.iter().map(|item| item.labels.clone())).collect();
        files.sort();
        files.dedup();
        files
    }

    /// Name of a file in outputs: its path in the dataset, or its name alone where it lies
    /// elsewhere.
    pub fn relative(&self, path: &Path) -> String {
        let is_plain =
            |inside: &&Path| inside.components().all(|part| matches!(part, Component::Normal(_)));
        match path.strip_prefix(&self.root).ok().filter(is_plain) {
            Some(inside) => inside.to_string_lossy().replace('\\', "/"),
            None => file_name(path),
        }
    }
}

fn session_name(participant_id: &str, session_id: Option<&str>) -> String {
    match session_id {
        Some(session) => format!("{participant_id}_{session}"),
        None => participant_id.to_owned(),
    }
}

/// All sessions that pass `filter`, in the order of their names.
///
/// # Errors
///
/// `NotBids`, `Missing` or `NothingSelected` when there is nothing to work on at all; what is wrong
/// with one session stands in its [`Located`].
pub fn sessions(plan: &Plan, filter: &Filter) -> Result<Vec<Located>> {
    let located = match &plan.study.dataset {
        Some(root) if plan.input.is_empty() => in_dataset(plan, root, filter)?,
        _ => of_inputs(plan, filter),
    };
    if located.is_empty() {
        return Err(Error::new(ErrorKind::NothingSelected, "no session passes the filter"));
    }
    Ok(located)
}

fn in_dataset(plan: &Plan, root: &Path, filter: &Filter) -> Result<Vec<Located>> {
    let dataset = Dataset::open(root)?;
    let mut located = Vec::new();
    for visit in dataset.visits(filter)? {
        let participant_id = visit.participant.id.clone();
        let session_id = visit.session_id().map(str::to_owned);
        let item = dataset.files(&visit).and_then(|files| of_visit(plan, root, &visit, &files));
        located.push(Located {
            name: session_name(&participant_id, session_id.as_deref()),
            participant_id,
            session_id,
            item,
        });
    }
    Ok(located)
}

fn of_visit(plan: &Plan, root: &Path, visit: &Visit, files: &VisitFiles) -> Result<SessionItem> {
    let mut values = visit.participant.values.clone();
    values.extend(visit.session.iter().flat_map(|session| session.values.clone()));
    let mut item = SessionItem {
        participant_id: visit.participant.id.clone(),
        session_id: visit.session_id().map(str::to_owned),
        values,
        root: root.to_owned(),
        fits: Vec::new(),
        thickness: Vec::new(),
    };
    for (index, fit) in plan.fit.iter().enumerate() {
        for knee in knees(plan, fit.series.as_ref()) {
            item.fits.push(fit_item(index, fit, knee, files)?);
        }
    }
    if let Some(query) = plan.thickness.as_ref().and_then(|thickness| thickness.labels.as_ref()) {
        for knee in knees(plan, Some(query)) {
            let labels = one(files, &query.for_knee(knee.as_deref()))?;
            item.thickness.push(ThicknessItem { knee, labels });
        }
    }
    Ok(item)
}

/// The knees that a query stands for; one `None` where it names none.
fn knees(plan: &Plan, query: Option<&QueryPlan>) -> Vec<Option<String>> {
    match query {
        Some(query) if query.names_knee() => plan.study.knees.iter().cloned().map(Some).collect(),
        _ => vec![None],
    }
}

fn fit_item(
    index: usize,
    fit: &FitPlan,
    knee: Option<String>,
    files: &VisitFiles,
) -> Result<FitItem> {
    let for_knee = |query: &QueryPlan| query.for_knee(knee.as_deref());
    let series = fit.series.as_ref().map(for_knee).ok_or_else(|| {
        Error::new(ErrorKind::Configuration, "no `series` to look for in the dataset")
            .at_field(format!("fit[{index}].series"))
    })?;
    let kind = measure::named(&fit.model)?.protocol;
    let region = fit.region.as_ref().map(|region| one(files, &for_knee(&region.query)));
    let to = fit.registration.as_ref().and_then(|registration| registration.to.as_ref());
    if fit.registration.is_some() && to.is_none() {
        return Err(Error::new(ErrorKind::Configuration, "no image to register to in the dataset")
            .at_field(format!("fit[{index}].registration.to"))
            .hint("as in to = { suffix = \"T2w\", acq = \"{knee}kneedess\" }"));
    }
    let from = fit.region.as_ref().and_then(|region| region.register_from.as_ref());
    let register_from = to.or(from);
    let register_from = register_from.map(|query| one(files, &for_knee(query))).transpose()?;
    let t10_map = match fit.dynamic.as_ref().map(|dynamic| &dynamic.t10) {
        Some(T10::Map(query)) => Some(one(files, &for_knee(query))?),
        _ => None,
    };
    let artery = fit.dynamic.as_ref().and_then(|dynamic| dynamic.artery.as_ref());
    let artery = match artery.map(|artery| &artery.curve) {
        Some(ArteryCurve::Region { query, .. }) => Some(one(files, &for_knee(query))?),
        _ => None,
    };
    Ok(FitItem {
        fit: index,
        source: SeriesSource::in_dataset(files, &series, kind, &fit.acquisition)?,
        region: region.transpose()?,
        t10_map,
        artery,
        register_from,
        b1_map: fit.b1_map.as_ref().map(|query| one(files, &for_knee(query))).transpose()?,
        knee,
    })
}

fn one(files: &VisitFiles, query: &QueryPlan) -> Result<PathBuf> {
    files.one(&bids_query(query)).map(|file| file.path().to_owned())
}

fn of_inputs(plan: &Plan, filter: &Filter) -> Vec<Located> {
    let mut sessions: BTreeMap<(String, Option<String>), Vec<&InputPlan>> = BTreeMap::new();
    for input in &plan.input {
        let participant = with_prefix("sub-", &input.participant);
        let session = input.session.as_ref().map(|session| with_prefix("ses-", session));
        let wanted = |labels: &[String], prefix: &str, id: Option<&String>| {
            labels.is_empty()
                || id.is_some_and(|id| labels.iter().any(|label| with_prefix(prefix, label) == *id))
        };
        if wanted(&filter.participants, "sub-", Some(&participant))
            && wanted(&filter.sessions, "ses-", session.as_ref())
        {
            sessions.entry((participant, session)).or_default().push(input);
        }
    }
    sessions
        .into_iter()
        .map(|((participant_id, session_id), inputs)| Located {
            name: session_name(&participant_id, session_id.as_deref()),
            item: of_session_inputs(plan, &participant_id, session_id.as_deref(), &inputs),
            participant_id,
            session_id,
        })
        .collect()
}

fn with_prefix(prefix: &str, label: &str) -> String {
    if label.starts_with(prefix) { label.to_owned() } else { format!("{prefix}{label}") }
}

fn of_session_inputs(
    plan: &Plan,
    participant_id: &str,
    session_id: Option<&str>,
    inputs: &[&InputPlan],
) -> Result<SessionItem> {
    let mut item = SessionItem {
        participant_id: participant_id.to_owned(),
        session_id: session_id.map(str::to_owned),
        values: BTreeMap::new(),
        root: plan.study.folder.clone(),
        fits: Vec::new(),
        thickness: Vec::new(),
    };
    for input in inputs {
        if let Some(class) = &input.class {
            item.values.insert("class".into(), class.clone());
        }
        if input.fit == "thickness" {
            let labels = input.series.first().cloned().unwrap_or_default();
            item.thickness.push(ThicknessItem { knee: input.knee.clone(), labels });
            continue;
        }
        let index = plan.fit.iter().position(|fit| fit.name == input.fit).ok_or_else(|| {
            let names: Vec<&str> = plan.fit.iter().map(|fit| fit.name.as_str()).collect();
            Error::new(ErrorKind::Configuration, format!("no fit is called `{}`", input.fit))
                .at_field("input.fit")
                .hint(format!("fits: {}, thickness", names.join(", ")))
        })?;
        let fit = &plan.fit[index];
        let paths = SeriesPaths { images: &input.series, bval: input.bval.as_deref() };
        let kind = measure::named(&fit.model)?.protocol;
        item.fits.push(FitItem {
            fit: index,
            knee: input.knee.clone(),
            source: SeriesSource::of_paths(paths, kind, &fit.acquisition)?,
            region: input.region.clone(),
            t10_map: input.t10_map.clone(),
            artery: input.artery.clone(),
            register_from: input.register_from.clone(),
            b1_map: input.b1_map.clone(),
        });
    }
    Ok(item)
}
