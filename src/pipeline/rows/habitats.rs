//! The table of habitats: those of one fit, and those of several together.

use super::{Rows, volume_ml};
use crate::error::Result;
use crate::habitat::intrinsic_standard_deviation;
use crate::pipeline::session::{FitResult, with_knee};
use crate::statistics::moments::mean;
use crate::table::Table;
use crate::table::schemas::HABITATS;

impl Rows<'_> {
    pub(super) fn habitats(&mut self) -> Result<()> {
        let mut table = Table::new(&HABITATS);
        for fit in &self.session.fits {
            let Some(groups) = &fit.voxels.groups else { continue };
            let habitats = &groups.habitats;
            let method = fit.plan.habitat.as_ref().map_or("k_means", |plan| &plan.method);
            let deviations = fit.voxels.standard_deviations(0);
            let reported = habitats.reported_label();
            let bic = habitats.criteria.iter().find(|c| c.k == habitats.k()).map(|c| c.bic);
            for habitat in &habitats.habitats {
                let of_habitat = |column: &[f64]| -> Vec<f64> {
                    let own = groups.places.iter().zip(&habitats.labels);
                    let own = own.filter(|(_, label)| **label == habitat.label);
                    own.filter_map(|(&place, _)| column.get(place).copied()).collect()
                };
                let own = of_habitat(deviations);
                let sd = habitat.standard_deviations[0];
                self.place(&mut table, fit, fit.headline())
                    .text("algorithm", method)
                    .integer("k", habitats.k())
                    .integer("habitat", habitat.label)
                    .boolean("reported", reported.is_none_or(|label| label == habitat.label))
                    .integer("n", habitat.n)
                    .real("fraction", habitat.fraction)
                    .real("volume_ml", volume_ml(fit, habitat.n))
                    .real("centroid", habitat.centroid[0])
                    .real("mean", habitat.means[0])
                    .optional_real("sd", sd)
                    .optional_real(
                        "intrinsic_sd",
                        sd.and_then(|sd| intrinsic_standard_deviation(sd, &own)),
                    )
                    .optional_real("stability", mean(&of_habitat(&groups.stability)))
                    .real("n_corr", groups.n_corr)
                    .optional_real("bic", bic)
                    .optional_real("silhouette", habitats.silhouette)
                    .optional_integer("gap_k", habitats.gap_k.map(|k| k as i64))
                    .finish()?;
            }
        }
        self.joint_habitats(&mut table)?;
        self.tables.push(table);
        Ok(())
    }

    /// Habitats of several fits: a row per habitat and parameter; stability and criterion are of the
    /// whole clustering.
    fn joint_habitats(&self, table: &mut Table) -> Result<()> {
        for joint in &self.session.joint {
            let Some(habitats) = &joint.habitats else { continue };
            let region = with_knee(joint.knee.as_deref(), &joint.plan.name);
            let reported = habitats.reported_label();
            let bic = habitats.criteria.iter().find(|c| c.k == habitats.k()).map(|c| c.bic);
            let fits: Vec<&FitResult<'_>> =
                joint.fits.iter().map(|&place| &self.session.fits[place]).collect();
            for habitat in &habitats.habitats {
                for (column, fit) in fits.iter().enumerate() {
                    self.ids(table)
                        .text("region", &region)
                        .text("parameter", fit.headline().short_name)
                        .text("units", fit.headline().unit.symbol())
                        .text("algorithm", &joint.plan.method)
                        .integer("k", habitats.k())
                        .integer("habitat", habitat.label)
                        .boolean("reported", reported.is_none_or(|label| label == habitat.label))
                        .integer("n", habitat.n)
                        .real("fraction", habitat.fraction)
                        .real("volume_ml", volume_ml(fits[0], habitat.n))
                        .real("centroid", habitat.centroid[column])
                        .real("mean", habitat.means[column])
                        .optional_real("sd", habitat.standard_deviations[column])
                        .real("n_corr", joint.n_corr)
                        .optional_real("bic", bic)
                        .optional_real("silhouette", habitats.silhouette)
                        .optional_integer("gap_k", habitats.gap_k.map(|k| k as i64))
                        .finish()?;
                }
            }
        }
        Ok(())
    }
}
