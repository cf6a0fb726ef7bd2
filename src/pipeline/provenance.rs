//! What a result can be traced to, and the only clock of the program.
//!
//! Everything with a clock in it goes to `logs/`; all other outputs are the same bytes every time.
#![expect(clippy::disallowed_methods, reason = "this is the module the ban points to")]

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::plan::Plan;
use crate::error::Result;
use crate::io::{atomic, digest};

/// Version of the program that made the results.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Version and plan of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The plan as TOML, with every default.
    pub plan_toml: String,
    /// SHA-256 of the plan.
    pub plan_sha256: String,
}

impl Provenance {
    /// Of a run of `plan` by this version.
    ///
    /// # Errors
    ///
    /// `Internal` when the plan cannot be written as TOML.
    pub fn of(plan: &Plan) -> Result<Self> {
        let plan_toml = plan.to_toml()?;
        Ok(Self { plan_sha256: digest::of_bytes(plan_toml.as_bytes()), plan_toml })
    }
}

/// The log of one run: one JSON object per line, with clock.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    lines: Vec<String>,
}

impl RunLog {
    /// A log under `output/logs/`, named by the time it starts.
    pub fn start(output: &Path, provenance: &Provenance) -> Self {
        let path = output.join("logs").join(format!("run-{}.jsonl", milliseconds()));
        let mut log = Self { path, lines: Vec::new() };
        log.add("start", &json!({ "version": VERSION, "plan_sha256": provenance.plan_sha256 }));
        log
    }

    /// Adds one event.
    pub fn add(&mut self, event: &str, details: &serde_json::Value) {
        let line = json!({ "unix_ms": milliseconds(), "event": event, "details": details });
        self.lines.push(line.to_string());
    }

    /// Writes the log.
    ///
    /// # Errors
    ///
    /// `Create` or `Write` as of the file system.
    pub fn finish(mut self) -> Result<()> {
        self.add("end", &json!({ "threads": rayon::current_num_threads() }));
        atomic::write(&self.path, (self.lines.join("\n") + "\n").as_bytes())
    }
}

fn milliseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}
