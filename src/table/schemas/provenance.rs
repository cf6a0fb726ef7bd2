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

/// One row per rigid transform.
///
/// A position p of the fixed image lies at R·(p − c) + c + t of the moving one, in scanner mm (right,
/// anterior, superior); R turns about x, then y, then z.
pub static TRANSFORMS: Schema = Schema {
    name: "transforms",
    version: 2,
    row: "participant x session x fit x moving image",
    columns: &[
        PARTICIPANT.required(),
        SESSION,
        Column::text("fit", "fit whose series was aligned").required(),
        Column::text("kind", "motion: reference to volume; region: series to drawn-on image; series: drawn-on image to series")
            .required(),
        Column::integer("volume", "number of the volume, from 0; null for all volumes"),
        Column::text("outcome", "registered; rigid_kept where a deformation was refused; start_kept where nothing better was found")
            .required(),
        Column::real("angle_x_rad", "rad", "turn about the axis to the right"),
        Column::real("angle_y_rad", "rad", "turn about the axis to anterior"),
        Column::real("angle_z_rad", "rad", "turn about the axis to superior"),
        Column::real("translation_x_mm", "mm", "shift to the right"),
        Column::real("translation_y_mm", "mm", "shift to anterior"),
        Column::real("translation_z_mm", "mm", "shift to superior"),
        Column::real("centre_x_mm", "mm", "centre of the turns, to the right"),
        Column::real("centre_y_mm", "mm", "centre of the turns, to anterior"),
        Column::real("centre_z_mm", "mm", "centre of the turns, to superior"),
        Column::real("displacement_max_mm", "mm", "largest displacement of a compared voxel"),
        Column::real("displacement_p95_mm", "mm", "95th percentile over the compared voxels"),
        Column::real("jacobian_min", "1", "smallest change of volume; 1 for a rigid transform"),
        Column::real("jacobian_max", "1", "largest change of volume; 1 for a rigid transform"),
        Column::real("metric_before", "1", "likeness of the images at the start"),
        Column::real("metric_after", "1", "likeness of the images under the transform"),
        Column::real("overlap", "1", "compared voxels that lie in the moving image"),
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
