//! What is measured on label images.

use serde::Serialize;

use super::source::{QueryPlan, query};
use crate::error::Error;
use crate::pipeline::spec::Section;
use crate::thickness::Method;

/// Cartilage thickness of one label image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThicknessPlan {
    /// Name of the cartilage in tables and on pages.
    pub name: String,
    /// The label image; none where every input is named by its path.
    pub labels: Option<QueryPlan>,
    /// Label values of the cartilage.
    pub cartilage: Vec<u32>,
    /// Label values of the bone under it; empty where only cartilage was drawn.
    pub bone: Vec<u32>,
    /// `edt_subvoxel`, `edt_voxel`, `normal`, `local` or `laplace`.
    pub method: String,
}

/// Reads `[thickness]`; none where it is not written.
pub(super) fn thickness(root: &Section<'_>) -> Option<ThicknessPlan> {
    let section = root.section("thickness");
    if !section.is_present() {
        return None;
    }
    let labels = query(&section, "labels");
    let cartilage = label_values(&section, "cartilage");
    if cartilage.is_empty() {
        let error =
            Error::value("is missing: at least one label value").hint("as in cartilage = 1");
        section.refuse("cartilage", error);
    }
    let bone = label_values(&section, "bone");
    let methods = Method::ALL.map(|method| (method.name(), method.name()));
    let method = section.choice("method", &methods, "edt_subvoxel").to_owned();
    if method == "edt_voxel" && bone.is_empty() {
        section.refuse("bone", Error::value("is needed by method `edt_voxel`"));
    }
    let name = section.text("name").unwrap_or_else(|| "cartilage".into());
    section.finish();
    Some(ThicknessPlan { name, labels, cartilage, bone, method })
}

fn label_values(section: &Section<'_>, key: &'static str) -> Vec<u32> {
    let values = section.numbers(key).unwrap_or_default();
    if let Some(wrong) = values.iter().find(|x| !(1.0..1e9).contains(*x) || x.fract() != 0.0) {
        section.refuse(key, Error::value(format!("{wrong} is not a label value from 1")));
    }
    values.iter().map(|&value| value as u32).collect()
}
