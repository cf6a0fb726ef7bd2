//! A whole run: every session that is not done yet, then all of them together.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::locate::{self, Located, SessionItem};
use super::observer::{Event, Observer};
use super::plan::Plan;
use super::provenance::{Provenance, RunLog, VERSION};
use super::record::Record;
use super::session::{SessionResult, measure_session};
use super::voxel_table::{self, VoxelPlace};
use super::{group, maps, memory, pages, rows};
use crate::error::{Error, ErrorKind, Result};
use crate::io::bids::Filter;
use crate::io::nifti::ReadLimits;
use crate::io::sidecar::Sidecar;
use crate::io::{atomic, derivatives, digest, lock, parquet, text_table};
use crate::report;
use crate::table::schemas::{RUNS, VOXELS};
use crate::table::{SCHEMAS, Table};

/// What the user may choose about a run beside the plan.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Which participants and sessions.
    pub filter: Filter,
    /// Whether results that are already there are made again.
    pub fresh: Fresh,
    /// Largest image in memory.
    pub limits: ReadLimits,
}

/// Whether finished sessions are made again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fresh {
    /// Keep what was made from the same inputs, plan and version.
    #[default]
    Resume,
    /// Make everything again.
    Again,
}

/// How a run ended.
#[derive(Debug)]
pub struct RunSummary {
    /// Sessions that were measured now.
    pub done: Vec<String>,
    /// Sessions whose results were kept.
    pub cached: Vec<String>,
    /// Sessions that failed, and why.
    pub failed: Vec<(String, Error)>,
}

/// Runs `plan`.
///
/// # Errors
///
/// `Temporary` when another run holds the output; `NotBids`, `Missing`, `NothingSelected` when there
/// is nothing to work on; `Create` or `Write` as of the file system. A session that fails is no
/// error of the run: it stands in the summary and in the table `runs`.
///
/// Sessions that the filter leaves out stay in the tables of all sessions while their results are
/// of this plan and version.
pub fn run(plan: &Plan, options: &RunOptions, observer: &dyn Observer) -> Result<RunSummary> {
    let output = plan.study.output.as_path();
    let provenance = Provenance::of(plan)?;
    let selected = locate::sessions(plan, &options.filter)?;
    let selected: Vec<String> = selected.into_iter().map(|session| session.name).collect();
    let all = locate::sessions(plan, &Filter::default())?;
    let _held = lock::acquire(output)?;
    atomic::remove_temporaries(output)?;
    let mut log = RunLog::start(output, &provenance);
    let context = Context { plan, options, observer, provenance: &provenance, output };
    let mut ledger = Ledger::new(&provenance);
    for session in &all {
        let Some(index) = selected.iter().position(|name| *name == session.name) else {
            if let Some(hash) = context.unselected(session) {
                ledger.done(session, &hash)?;
            }
            continue;
        };
        let outcome = context.session(session, (index + 1, selected.len()));
        log.add("session", &json!({ "name": session.name, "failed": outcome.is_err() }));
        match outcome {
            Ok((was_cached, hash)) => {
                let summary = &mut ledger.summary;
                let list = if was_cached { &mut summary.cached } else { &mut summary.done };
                list.push(session.name.clone());
                ledger.done(session, &hash)?;
            }
            Err(error) => {
                context.failed(session, &error)?;
                ledger.failed(session, error)?;
            }
        }
    }
    together(plan, &ledger.names, ledger.runs, &provenance)?;
    log.finish()?;
    Ok(ledger.summary)
}

/// A full disk or a folder that may not be written stops every session, not one.
fn stops_the_run(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Create | ErrorKind::Write | ErrorKind::Temporary)
}

/// How every session ended, in their order.
struct Ledger<'a> {
    provenance: &'a Provenance,
    runs: Table,
    /// Sessions with results.
    names: Vec<String>,
    summary: RunSummary,
}

impl<'a> Ledger<'a> {
    fn new(provenance: &'a Provenance) -> Self {
        let summary = RunSummary { done: Vec::new(), cached: Vec::new(), failed: Vec::new() };
        Self { provenance, runs: Table::new(&RUNS), names: Vec::new(), summary }
    }

    fn done(&mut self, session: &Located, input_sha256: &str) -> Result<()> {
        self.names.push(session.name.clone());
        self.row(session, Ok(input_sha256))
    }

    fn failed(&mut self, session: &Located, error: Error) -> Result<()> {
        self.row(session, Err(&error))?;
        self.summary.failed.push((session.name.clone(), error));
        Ok(())
    }

    fn row(&mut self, session: &Located, outcome: Result<&str, &Error>) -> Result<()> {
        let error = outcome.err();
        self.runs
            .row()
            .text("participant_id", &session.participant_id)
            .optional_text("session_id", session.session_id.as_deref())
            .text("status", if error.is_some() { "failed" } else { "done" })
            .optional_text("reason", error.map(reason).as_deref())
            .integer("exit_code", error.map_or(0, |error| error.kind().exit_code()))
            .text("version", VERSION)
            .text("plan_sha256", &self.provenance.plan_sha256)
            .optional_text("input_sha256", outcome.ok())
            .finish()
    }
}

/// What is wrong without folders of this machine: of every path only the file name is told.
fn reason(error: &Error) -> String {
    let is_path = |word: &&str| word.starts_with(['/', '.']) && word.contains('/');
    let told = |word: &str| match Some(word).filter(is_path) {
        Some(path) => super::load::file_name(Path::new(path.trim_end_matches([',', ':', ';']))),
        None => word.to_owned(),
    };
    let message: Vec<String> = error.message().split(' ').map(told).collect();
    let message = message.join(" ");
    let file = error.path().map(super::load::file_name).filter(|name| !name.is_empty());
    let place = file.map_or_else(String::new, |name| format!("{name}: "));
    let field = error.field().map_or_else(String::new, |field| format!("{field}: "));
    format!("{place}{field}{message}")
}

/// Where the record and the tables of one session stand.
fn session_folder(name: &str) -> String {
    format!("tables/by-session/{name}")
}

fn record_path(output: &Path, name: &str) -> std::path::PathBuf {
    output.join(session_folder(name)).join("record.json")
}

struct Context<'a> {
    plan: &'a Plan,
    options: &'a RunOptions,
    observer: &'a dyn Observer,
    provenance: &'a Provenance,
    output: &'a Path,
}

impl Context<'_> {
    /// Measures a session unless it is done; whether it was, and the hash of its inputs.
    fn session(&self, located: &Located, (number, of): (usize, usize)) -> Result<(bool, String)> {
        let name = &located.name;
        let item = located.item.as_ref().map_err(Error::duplicate)?;
        let record = Record::of_inputs(self.provenance, inputs(item)?);
        let hash = record.input_sha256();
        let path = record_path(self.output, name);
        if self.options.fresh == Fresh::Resume && record.is_done(&path, self.output) {
            self.observer.observe(&Event::SessionCached { name, number, of });
            return Ok((true, hash));
        }
        self.observer.observe(&Event::SessionStarted { name, number, of });
        memory::require(item, &self.options.limits)?;
        let result = measure_session(self.plan, item, &self.options.limits, self.observer)?;
        let outputs = self.write(&result)?;
        Record::withdraw(&path, self.output, &outputs)?;
        record.commit(&path, self.output, &outputs)?;
        Ok((false, hash))
    }

    /// Tells of a failure and takes back what an earlier run made of other inputs or another plan.
    ///
    /// # Errors
    ///
    /// The failure itself where it would stop every session.
    fn failed(&self, located: &Located, error: &Error) -> Result<()> {
        if stops_the_run(error) {
            return Err(error.duplicate());
        }
        self.observer.observe(&Event::SessionFailed { name: &located.name, error });
        Record::withdraw(&record_path(self.output, &located.name), self.output, &[])
    }

    /// Hash of the inputs of a session that the filter left out, where it was measured with this
    /// plan and version: it stays in the tables of all sessions. Its tables are held to their
    /// hashes, its inputs are not read again.
    fn unselected(&self, located: &Located) -> Option<String> {
        let record = Record::read(&record_path(self.output, &located.name)).ok()?;
        let stays = record.is_of(self.provenance) && record.tables_are_whole(self.output);
        stays.then(|| record.input_sha256())
    }

    fn write(&self, result: &SessionResult<'_>) -> Result<Vec<String>> {
        let name = result.item.name();
        let mut outputs = maps::write(result, self.output)?;
        for table in rows::of_session(self.plan, result)? {
            let path = format!("{}/{}.parquet", session_folder(&name), table.schema().name);
            parquet::write(&self.output.join(&path), &table)?;
            outputs.push(path);
        }
        let mut voxels = Table::new(&VOXELS);
        for fit in &result.fits {
            let place = VoxelPlace {
                participant_id: &result.item.participant_id,
                session_id: result.item.session_id.as_deref(),
                region: &fit.region,
            };
            voxels.append(&voxel_table::table(place, &fit.voxels)?)?;
        }
        let path = format!("tables/voxels/{name}.parquet");
        parquet::write(&self.output.join(&path), &voxels)?;
        outputs.push(path);
        let page = report::render(&pages::session(self.plan, result, self.provenance)?)?;
        let path = format!("{name}.html");
        atomic::write(&self.output.join(&path), page.as_bytes())?;
        outputs.push(path);
        Ok(outputs)
    }
}

/// Hash of every input by its name in the dataset; the protocol and the participant's values count
/// by their content.
fn inputs(item: &SessionItem) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    for path in item.files() {
        let name = item.relative(&path);
        // Files that lie outside the dataset are named without their folders.
        let same = hashes
            .keys()
            .filter(|key: &&String| **key == name || key.starts_with(&format!("{name} ")))
            .count();
        let name = if same == 0 { name } else { format!("{name} {}", same + 1) };
        hashes.insert(name, digest::of_file(&path)?);
    }
    for (index, fit) in item.fits.iter().enumerate() {
        let protocol = format!("{:?}", fit.source.protocol);
        hashes.insert(format!("protocol {index}"), digest::of_bytes(protocol.as_bytes()));
        let copied: Vec<_> = fit.source.sidecars.iter().map(Sidecar::copied).collect();
        let copied = format!("{copied:?}");
        hashes.insert(format!("sidecars {index}"), digest::of_bytes(copied.as_bytes()));
    }
    let values = format!("{:?}", item.values);
    hashes.insert("participant".into(), digest::of_bytes(values.as_bytes()));
    Ok(hashes)
}

/// Everything over all sessions: tables, pages, descriptions, and last the manifest.
fn together(plan: &Plan, done: &[String], runs: Table, provenance: &Provenance) -> Result<()> {
    let output = plan.study.output.as_path();
    let mut tables = merged(output, done)?;
    tables.extend(group::tables(plan, &tables)?);
    tables.push(runs);
    for table in &tables {
        let stem = output.join("tables").join(table.schema().name);
        parquet::write(&stem.with_extension("parquet"), table)?;
        text_table::write(&stem.with_extension("tsv"), table)?;
    }
    text_table::write_data_dictionary(&output.join("tables/data_dictionary.tsv"))?;
    let page = report::render(&group::index(plan, &tables, done, provenance)?)?;
    atomic::write(&output.join("index.html"), page.as_bytes())?;
    let name = format!("{} biomarkers", plan.study.name);
    derivatives::write_dataset_description(output, &name, &[])?;
    derivatives::write_bidsignore(output)?;
    derivatives::write_readme(output, &plan.study.name)?;
    atomic::write(&output.join("plan.toml"), provenance.plan_toml.as_bytes())?;
    manifest(output, done, &tables, provenance)
}

/// The tables of all `sessions`, each once, in the order of the schemas; only those that the
/// records of the sessions name.
fn merged(output: &Path, sessions: &[String]) -> Result<Vec<Table>> {
    let records: Vec<Record> = sessions
        .iter()
        .map(|name| Record::read(&record_path(output, name)))
        .collect::<Result<_>>()?;
    let mut tables: Vec<Table> = Vec::new();
    for schema in SCHEMAS {
        let mut all = Table::new(schema);
        let mut is_there = false;
        for (name, record) in sessions.iter().zip(&records) {
            let path = format!("{}/{}.parquet", session_folder(name), schema.name);
            if record.outputs.contains_key(&path) {
                all.append(&parquet::read(&output.join(path), schema)?)?;
                is_there = true;
            }
        }
        if is_there {
            tables.push(all);
        }
    }
    Ok(tables)
}

fn manifest(
    output: &Path,
    sessions: &[String],
    tables: &[Table],
    provenance: &Provenance,
) -> Result<()> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for name in sessions {
        files.extend(Record::read(&record_path(output, name))?.outputs);
    }
    let of_tables = tables.iter().flat_map(|table| {
        ["parquet", "tsv"].map(|extension| format!("tables/{}.{extension}", table.schema().name))
    });
    let others = [
        "index.html",
        "plan.toml",
        "README.md",
        ".bidsignore",
        "dataset_description.json",
        "tables/data_dictionary.tsv",
    ];
    for name in of_tables.chain(others.map(String::from)) {
        let hash = digest::of_file(&output.join(&name))?;
        files.insert(name, hash);
    }
    let manifest = json!({
        "version": VERSION,
        "plan_sha256": provenance.plan_sha256,
        "sessions": sessions,
        "files": files,
    });
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| Error::internal(format!("manifest cannot be written: {error}")))?;
    atomic::write(&output.join("manifest.json"), (text + "\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_tell_file_names_and_no_folders() {
        let error = Error::mismatch("value 3 is that of /home/jane/study/a.nii.gz too, in s/mm²")
            .at_field("EchoTime")
            .at_path("/home/jane/study/b.json");
        let text = "b.json: EchoTime: value 3 is that of a.nii.gz too, in s/mm²";
        assert_eq!(reason(&error), text);
        let error = Error::mismatch("../x/a.json and ../x/b.json both apply");
        assert_eq!(reason(&error), "a.json and b.json both apply");
    }
}
