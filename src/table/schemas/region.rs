//! Regions, their histograms, habitats and exclusions.

use super::{EXCLUSION_REASON, PARAMETER, PARTICIPANT, REGION, SELECTION, SESSION, UNITS};
use crate::table::{Column, Schema};

const REPEATED_MEAN: &str = "standard error of the mean of the reported voxels by pseudo-experiments of \
                             the region, with the error of a registration where it is carried on";

/// One row per participant, session, region, parameter and selection.
///
/// Percentiles interpolate linearly at rank p(n − 1); the first-order features follow the Image
/// Biomarker Standardisation Initiative on continuous values: population variance, excess kurtosis.
pub static REGIONS: Schema = Schema {
    name: "regions",
    version: 2,
    row: "participant x session x region x parameter x selection",
    columns: &[
        PARTICIPANT.required(),
        SESSION,
        REGION.required(),
        PARAMETER.required(),
        UNITS.required(),
        SELECTION.required(),
        Column::integer("n", "voxels the statistics are of").required(),
        Column::real("mean", "units", "mean over voxels"),
        Column::real("sd", "units", "standard deviation over voxels, n - 1"),
        Column::real("median", "units", "median"),
        Column::real("p05", "units", "5th percentile"),
        Column::real("p10", "units", "10th percentile"),
        Column::real("p25", "units", "25th percentile"),
        Column::real("p75", "units", "75th percentile"),
        Column::real("p90", "units", "90th percentile"),
        Column::real("p95", "units", "95th percentile"),
        Column::real("min", "units", "minimum"),
        Column::real("max", "units", "maximum"),
        Column::real("iqr", "units", "interquartile range, p75 - p25"),
        Column::real("range", "units", "max - min"),
        Column::real("variance", "units^2", "population variance, n"),
        Column::real("skewness", "1", "skewness"),
        Column::real("kurtosis", "1", "excess kurtosis, 0 for a normal distribution"),
        Column::real("mad", "units", "mean absolute deviation from the mean"),
        Column::real("rmad", "units", "mean absolute deviation of the values in p10 to p90"),
        Column::real("medad", "units", "mean absolute deviation from the median"),
        Column::real("cov", "1", "coefficient of variation, population sd / mean"),
        Column::real("qcod", "1", "quartile coefficient of dispersion, (p75 - p25) / (p75 + p25)"),
        Column::real("energy", "units^2", "sum of squares"),
        Column::real("rms", "units", "root mean square"),
        Column::real("stderr_mean", "units", "standard error of the mean by voxel uncertainties"),
        Column::real("repeated_stderr_mean", "units", REPEATED_MEAN),
        Column::real("repeated_stderr_median", "units", "likewise of the median"),
        Column::real("repeated_stderr_p25", "units", "likewise of the 25th percentile"),
        Column::real("mean_relative_uncertainty", "1", "mean of u over the voxels"),
        Column::real("sigma", "arbitrary", "noise level of the signal the fits had"),
        Column::real("volume_ml", "ml", "volume of the voxels"),
        EXCLUSION_REASON,
    ],
};

/// One row per bin.
pub static HISTOGRAMS: Schema = Schema {
    name: "histograms",
    version: 1,
    row: "participant x session x region x parameter x selection x bin",
    columns: &[
        PARTICIPANT.required(),
        SESSION,
        REGION.required(),
        PARAMETER.required(),
        UNITS.required(),
        SELECTION.required(),
        Column::integer("bin", "number of the bin, from 0").required(),
        Column::real("lower", "units", "lower edge, in the bin").required(),
        Column::real(
            "upper",
            "units",
            "upper edge, in the next bin; in this one if it is the last",
        )
        .required(),
        Column::integer("count", "voxels in the bin").required(),
        Column::real("weighted_count", "1", "voxels weighted by 1 / u^2, scaled to the same sum"),
        EXCLUSION_REASON,
    ],
};

/// One row per cluster and parameter.
pub static HABITATS: Schema = Schema {
    name: "habitats",
    version: 2,
    row: "participant x session x region x parameter x cluster",
    columns: &[
        PARTICIPANT.required(),
        SESSION,
        REGION.required(),
        PARAMETER.required(),
        UNITS.required(),
        Column::text("algorithm", "how the clusters were found, such as k_means or mixture")
            .required(),
        Column::integer("k", "number of clusters").required(),
        Column::integer("habitat", "number of this cluster, from 1 by rising centroid").required(),
        Column::boolean("reported", "whether this habitat is the one that is reported").required(),
        Column::integer("n", "voxels in the cluster").required(),
        Column::real("fraction", "1", "voxels in the cluster / clustered voxels"),
        Column::real("volume_ml", "ml", "volume of the cluster"),
        Column::real("centroid", "units", "centre of the cluster"),
        Column::real("mean", "units", "estimate of the habitat's mean"),
        Column::real("sd", "units", "estimate of the habitat's standard deviation"),
        Column::real("intrinsic_sd", "units", "sd without the spread that voxel noise explains"),
        Column::real("stability", "1", "mean fraction of replicas that stay in their cluster"),
        Column::real("n_corr", "1", "neighbouring voxels that carry the information of one"),
        Column::real("bic", "1", "Bayesian information criterion of the clustering"),
        Column::real("silhouette", "1", "mean silhouette of the clustering"),
        Column::integer("gap_k", "clusters by the gap statistic; null where the number was given"),
        EXCLUSION_REASON,
    ],
};

/// One row per reason for which voxels were dropped.
pub static EXCLUSIONS: Schema = Schema {
    name: "exclusions",
    version: 1,
    row: "participant x session x region x parameter x reason",
    columns: &[
        PARTICIPANT.required(),
        SESSION,
        REGION.required(),
        PARAMETER.required(),
        Column::text("reason", "fit status or quality criterion that failed first").required(),
        Column::integer("n_voxels", "voxels dropped for this reason").required(),
        Column::integer("n_region", "voxels in the region").required(),
        Column::real("fraction", "1", "n_voxels / n_region"),
        EXCLUSION_REASON,
    ],
};
