//! The schemas of all tables, and the columns they share.

mod cohort;
mod knee;
mod provenance;
mod region;
mod voxel;

pub use cohort::{CLASSES, SWEEPS, TUMOURS};
pub use knee::{DEPTH_PROFILES, FLAT_MAPS, KNEES, PAIRED, REPEATABILITY, THICKNESS};
pub use provenance::{QC, RUNS, TRANSFORMS};
pub use region::{EXCLUSIONS, HABITATS, HISTOGRAMS, REGIONS};
pub use voxel::VOXELS;

use super::{Column, Schema};

/// Every table, in the order of the data dictionary.
pub static SCHEMAS: [&Schema; 17] = [
    &VOXELS,
    &REGIONS,
    &HISTOGRAMS,
    &HABITATS,
    &EXCLUSIONS,
    &TUMOURS,
    &CLASSES,
    &SWEEPS,
    &THICKNESS,
    &KNEES,
    &DEPTH_PROFILES,
    &FLAT_MAPS,
    &PAIRED,
    &REPEATABILITY,
    &TRANSFORMS,
    &QC,
    &RUNS,
];

const PARTICIPANT: Column =
    Column::text("participant_id", "participant, such as sub-01; null in rows over several");
const SESSION: Column =
    Column::text("session_id", "session, such as ses-pre; null where there are none");
const REGION: Column = Column::text("region", "name of the region of interest");
const PARAMETER: Column =
    Column::text("parameter", "short name of the parameter, such as adc, iauc60, t2, thickness");
const UNITS: Column =
    Column::text("units", "unit of the parameter: of every column whose unit reads units");
const SELECTION: Column = Column::text(
    "selection",
    "which voxels: naive (all with an estimate), gated (kept by the quality gate) or habitat",
);
const EXCLUSION_REASON: Column =
    Column::text("exclusion_reason", "why values of this row are null; null where all are there");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Kind;
    use super::*;

    #[test]
    fn every_table_begins_with_the_ids_and_has_each_name_once() {
        for schema in SCHEMAS {
            assert_eq!(schema.columns[0].name, "participant_id", "{}", schema.name);
            assert_eq!(schema.columns[1].name, "session_id", "{}", schema.name);
            let names: BTreeSet<&str> = schema.columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), schema.columns.len(), "{}", schema.name);
        }
        let tables: BTreeSet<&str> = SCHEMAS.iter().map(|schema| schema.name).collect();
        assert_eq!(tables.len(), SCHEMAS.len());
    }

    #[test]
    fn a_table_whose_numbers_may_be_null_says_why() {
        for schema in SCHEMAS {
            let may_be_null = |column: &Column| {
                !column.required && matches!(column.kind, Kind::Real | Kind::Single)
            };
            if schema.columns.iter().any(may_be_null) {
                assert_eq!(schema.columns.last().unwrap().name, "exclusion_reason");
            }
        }
    }

    #[test]
    fn every_number_has_a_unit_and_every_column_a_description() {
        for column in SCHEMAS.iter().flat_map(|schema| schema.columns) {
            let is_number = !matches!(column.kind, Kind::Text | Kind::Boolean);
            assert_eq!(is_number, !column.unit.is_empty(), "{}", column.name);
            assert!(!column.description.is_empty(), "{}", column.name);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(column.name.chars().all(plain), "{}", column.name);
        }
    }

    #[test]
    fn columns_in_the_unit_of_the_parameter_stand_beside_a_column_of_units() {
        for schema in SCHEMAS {
            if schema.columns.iter().any(|column| column.unit.starts_with("units")) {
                let units = schema.columns.iter().find(|column| column.name == "units");
                assert!(units.is_some_and(|column| column.required), "{}", schema.name);
            }
        }
    }

    #[test]
    fn only_voxels_hold_32_bit_numbers() {
        for schema in SCHEMAS {
            let single = schema.columns.iter().any(|column| column.kind == Kind::Single);
            assert_eq!(single, schema.name == "voxels");
        }
    }
}
