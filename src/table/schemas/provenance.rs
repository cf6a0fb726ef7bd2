//! Checks and runs. No clock and no host: those live in the logs.

use super::{EXCLUSION_REASON, PARTICIPANT, SESSION};
use crate::table::{Column, Schema};

/// One row per check.
pub static QC: Schema = Schema {
    name: "qc",
    version: 1,
    row: "check",
    columns: &[
        PARTICIPANT,
        SESSION,
        Column::text("check", "name of the check").required(),
        Column::text("metric", "what was measured").required(),
        Column::text("units", "unit of value and threshold").required(),
        Column::real("value", "units", "measured value"),
        Column::real("threshold", "units", "value at which the check changes its mind"),
        Column::text("status", "passed, warned or failed").required(),
        Column::text("message", "what it means and what to do; null where passed"),
        EXCLUSION_REASON,
    ],
};

/// One row per processed participant and session.
pub static RUNS: Schema = Schema {
    name: "runs",
    version: 1,
    row: "participant x session",
    columns: &[
        PARTICIPANT,
        SESSION,
        Column::text("status", "done, failed or excluded").required(),
        Column::text("reason", "why it failed or was excluded; null where done"),
        Column::integer("exit_code", "exit code that this participant alone would give").required(),
        Column::text("version", "version of the program").required(),
        Column::text("plan_sha256", "SHA-256 of the resolved plan").required(),
        Column::text("input_sha256", "SHA-256 over the hashes of all inputs, by rising path"),
    ],
};
