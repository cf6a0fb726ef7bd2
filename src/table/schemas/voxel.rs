//! Voxels.

use super::{EXCLUSION_REASON, PARAMETER, PARTICIPANT, REGION, SESSION, UNITS};
use crate::table::{Column, Schema};

/// One row per voxel and parameter; several parameters of one voxel are several rows, so that the
/// columns are the same whatever was fitted.
pub static VOXELS: Schema = Schema {
    name: "voxels",
    version: 2,
    row: "voxel x parameter",
    columns: &[
        PARTICIPANT.required(),
        SESSION,
        REGION.required(),
        PARAMETER.required(),
        UNITS.required(),
        Column::integer("i", "voxel index along the first axis, from 0").required(),
        Column::integer("j", "voxel index along the second axis, from 0").required(),
        Column::integer("k", "voxel index along the third axis, from 0").required(),
        Column::single("x_mm", "mm", "scanner position of the voxel centre, rising to the right"),
        Column::single("y_mm", "mm", "scanner position of the voxel centre, rising to anterior"),
        Column::single("z_mm", "mm", "scanner position of the voxel centre, rising to superior"),
        Column::single("value", "units", "estimate of the parameter"),
        Column::single("stderr", "units", "standard error of the estimate from its covariance"),
        Column::single("u", "1", "relative uncertainty: sd of the pseudo-experiments / estimate"),
        Column::single("bias", "units", "mean of the pseudo-experiments minus the estimate"),
        Column::text("status", "why the fit ended, by the name in the status map").required(),
        Column::boolean("keep", "whether the quality gate kept the voxel; null without a gate"),
        Column::integer("habitat", "cluster of the voxel, from 1 by rising centroid"),
        Column::single(
            "stability",
            "1",
            "fraction of the pseudo-experiments that stay in its habitat",
        ),
        Column::single("depth", "1", "depth in the cartilage: 0 at the bone, 1 at the surface"),
        EXCLUSION_REASON,
    ],
};
