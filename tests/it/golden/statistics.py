"""Golden numbers of `golden_statistics.rs` from numpy and scipy.

Run from this folder: `python statistics.py > statistics.json` (numpy 2.4.6, scipy 1.17.1). What scipy
does not offer is written out from its definition: Walsh averages, the structural components of the
area under the curve as a full kernel matrix, silhouette widths from the full distance matrix.
"""

import json

import numpy as np
from scipy import stats
from scipy.spatial.distance import cdist

rng = np.random.default_rng(20190524)


def rounded(values, digits=4):
    return [round(float(v), digits) for v in values]


def description(values):
    x = np.array(values)
    return {
        "values": values,
        "probabilities": [0.0, 0.05, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 0.95, 1.0],
        "quantiles": [float(np.quantile(x, p)) for p in [0.0, 0.05, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 0.95, 1.0]],
        "variance": float(x.var()),
        "standard_deviation": float(x.std(ddof=1)),
        "skewness": float(stats.skew(x)),
        "excess_kurtosis": float(stats.kurtosis(x)),
        "robust_standard_deviation": float(stats.median_abs_deviation(x) / stats.norm.ppf(0.75)),
        "freedman_diaconis_bins": len(np.histogram_bin_edges(x, "fd")) - 1,
        "counts_of_7_bins": np.histogram(x, 7)[0].tolist(),
        "edges_of_7_bins": np.histogram(x, 7)[1].tolist(),
    }


def exact_pratt(d):
    """All sign patterns by convolution of the characteristic polynomial; ranks with zeros, doubled."""
    ranks = stats.rankdata(np.abs(d))
    ranks, signs = np.rint(2 * ranks[d != 0]).astype(int), d[d != 0] > 0
    counts = np.array([1.0])
    for rank in ranks:
        wider = np.zeros(len(counts) + rank)
        wider[: len(counts)] += counts / 2
        wider[rank:] += counts / 2
        counts = wider
    least = min(ranks[signs].sum(), ranks[~signs].sum())
    return float(min(1.0, 2 * counts[: least + 1].sum()))


def attained_level(n):
    """Confidence of the widest signed-rank exclusion with tails of at most 2.5 %; none below six."""
    counts = np.array([1.0])
    for rank in range(1, n + 1):
        wider = np.zeros(len(counts) + rank)
        wider[: len(counts)] += counts / 2
        wider[rank:] += counts / 2
        counts = wider
    tails = np.cumsum(counts)
    inside = tails[tails <= 0.025]
    return float(1 - 2 * inside[-1]) if len(inside) else None


def paired(differences):
    d = np.array(differences)
    t = stats.ttest_1samp(d, 0.0)
    interval = t.confidence_interval(0.95)
    i, j = np.triu_indices(len(d))
    out = {
        "differences": differences,
        "t": float(t.statistic),
        "p_t": float(t.pvalue),
        "interval": [float(interval.low), float(interval.high)],
        "d_z": float(d.mean() / d.std(ddof=1)),
        "hodges_lehmann": float(np.median((d[i] + d[j]) / 2)),
    }
    for name, correction in [("p_continuity", True), ("p_plain", False)]:
        out[name] = float(stats.wilcoxon(d, zero_method="wilcox", correction=correction, method="asymptotic").pvalue)
        out[name + "_pratt"] = float(stats.wilcoxon(d, zero_method="pratt", correction=correction, method="asymptotic").pvalue)
    out["p_exact_pratt"] = exact_pratt(d)
    shapiro = stats.shapiro(d)
    out["w"], out["p_w"] = float(shapiro.statistic), float(shapiro.pvalue)
    out["level"] = attained_level(len(d))
    nonzero = d[d != 0]
    if len(nonzero) == len(d) and len(np.unique(np.abs(d))) == len(d):
        out["p_exact"] = float(stats.wilcoxon(d, method="exact").pvalue)
    return out


def independent(first, second):
    a, b = np.array(first), np.array(second)
    test = stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=True)
    out = {"first": first, "second": second, "u": float(test.statistic), "p_asymptotic": float(test.pvalue)}
    if len(np.unique(np.concatenate([a, b]))) == len(a) + len(b):
        out["p_exact"] = float(stats.mannwhitneyu(a, b, method="exact").pvalue)
    kernel = (a[:, None] > b[None, :]) + 0.5 * (a[:, None] == b[None, :])
    area = kernel.mean()
    variance = kernel.mean(1).var(ddof=1) / len(a) + kernel.mean(0).var(ddof=1) / len(b)
    half = stats.norm.ppf(0.975) * np.sqrt(variance)
    out["area"] = float(area)
    out["interval"] = [float(max(0, area - half)), float(min(1, area + half))]
    values = np.unique(np.concatenate([a, b]))
    cuts = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2])
    youden = [(a > c).mean() + (b <= c).mean() - 1 for c in cuts]
    out["youden"] = float(max(youden))
    return out


def kruskal(samples):
    h, p = stats.kruskal(*samples)
    return {"samples": samples, "h": float(h), "p": float(p)}


def silhouette(points, labels):
    x, lab = np.array(points), np.array(labels)
    d = cdist(x, x)
    widths = []
    for i in range(len(x)):
        own = lab == lab[i]
        if own.sum() == 1:
            widths.append(0.0)
            continue
        a = d[i, own].sum() / (own.sum() - 1)
        b = min(d[i, lab == k].mean() for k in set(labels) if k != lab[i])
        widths.append((b - a) / max(a, b))
    return {"points": points, "labels": labels, "silhouette": float(np.mean(widths))}


points = [rounded(p) for p in np.vstack([rng.normal([0, 0], 1, (25, 2)), rng.normal([4, 1], 1, (20, 2)), rng.normal([1, 5], 1, (15, 2))])]

golden = {
    "descriptions": [
        description(rounded(rng.normal(1.2, 0.12, 501))),
        description(rounded(rng.gamma(2.0, 300.0, 200), 1)),
        description(rounded(rng.integers(0, 6, 60).astype(float))),
    ],
    "paired": [
        paired(rounded(rng.normal(1.0, 1.5, 9))),
        paired(rounded(rng.normal(0.2, 1.5, 18))),
        paired([1.5, 0.5, 0.5, -0.5, 2.0, 1.5, 0.0, 1.0, -1.0]),
        paired(rounded(np.round(2 * rng.normal(0.4, 1.2, 30)) / 2)),
        paired(rounded(rng.normal(3.0, 0.5, 3))),
    ],
    "independent": [
        independent(rounded(rng.normal(1.2, 0.4, 12)), rounded(rng.normal(0.6, 0.3, 18))),
        independent(rounded(rng.normal(1.0, 0.4, 6)), rounded(rng.normal(0.9, 0.4, 6))),
        independent(rounded(rng.normal(1.0, 0.4, 15), 1), rounded(rng.normal(0.8, 0.4, 11), 1)),
    ],
    "kruskal": [
        kruskal([rounded(rng.normal(m, 0.3, n)) for m, n in [(1.2, 6), (0.74, 6), (0.54, 18)]]),
        kruskal([rounded(rng.normal(m, 0.5, n), 1) for m, n in [(1.2, 5), (1.0, 7), (0.9, 9), (1.1, 4)]]),
    ],
    "silhouette": silhouette(points, [0] * 25 + [1] * 20 + [2] * 15),
}

print(json.dumps(golden, indent=1))
