"""Golden numbers of `golden_paired.rs` from scipy and statsmodels.

Run from this folder: `python paired.py > paired.json` (numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0). Intraclass
correlations follow from the two-way analysis of variance of statsmodels with the intervals of McGraw
and Wong; Satterthwaite's degrees of freedom from dense matrices: P = V⁻¹ − V⁻¹X(X'V⁻¹X)⁻¹X'V⁻¹.
"""

import json

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import ols

rng = np.random.default_rng(20190727)


def repeatability(pairs):
    x = np.array(pairs)
    n = len(x)
    d, m = x[:, 1] - x[:, 0], x.mean(1)
    within = np.sqrt((d**2).sum() / (2 * n))
    chi = stats.chi2.ppf([0.975, 0.025], n)
    t = stats.t.ppf(0.975, n - 1)
    z = stats.norm.ppf(0.975)
    s = d.std(ddof=1)
    half = t * s * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    table = pd.DataFrame({"y": x.ravel(), "s": np.repeat(np.arange(n), 2), "r": np.tile([0, 1], n)})
    anova = sm.stats.anova_lm(ols("y ~ C(s) + C(r)", table).fit())
    rows, columns, residual = (anova["mean_sq"][k] for k in ("C(s)", "C(r)", "Residual"))
    consistency = (rows - residual) / (rows + residual)
    f = rows / residual
    fl, fu = f / stats.f.ppf(0.975, n - 1, n - 1), f * stats.f.ppf(0.975, n - 1, n - 1)
    agreement = (rows - residual) / (rows + residual + 2 / n * (columns - residual))
    a = 2 * agreement / (n * (1 - agreement))
    b = 1 + 2 * agreement * (n - 1) / (n * (1 - agreement))
    v = (a * columns + b * residual) ** 2 / ((a * columns) ** 2 + (b * residual) ** 2 / (n - 1))
    f1, f2 = stats.f.ppf(0.975, n - 1, v), stats.f.ppf(0.975, v, n - 1)
    rest = 2 * columns + (2 * n - 2 - n) * residual
    return {
        "pairs": [[round(float(v), 4) for v in pair] for pair in pairs],
        "within_sd": within,
        "within_sd_interval": (np.sqrt((d**2).sum() / 2 / chi)).tolist(),
        "within_cv": np.sqrt((d**2 / (2 * m**2)).mean()),
        "bias": d.mean(),
        "bias_interval": [d.mean() - t * s / np.sqrt(n), d.mean() + t * s / np.sqrt(n)],
        "limits": [[d.mean() + k * z * s, d.mean() + k * z * s - half, d.mean() + k * z * s + half] for k in (-1, 1)],
        "consistency": [consistency, (fl - 1) / (fl + 1), (fu - 1) / (fu + 1)],
        "agreement": [agreement, n * (rows - f1 * residual) / (f1 * rest + n * rows),
                      n * (f2 * rows - residual) / (rest + n * f2 * rows)],
    }


def mixed(rows):
    """rows: (cluster, treated, value)."""
    c, t, y = (np.array([row[k] for row in rows]) for k in range(3))
    x = np.stack([np.ones(len(y)), t], 1).astype(float)
    fit = sm.MixedLM(y, x, c).fit(reml=True, method="powell", ftol=1e-15, xtol=1e-12, maxiter=5000)
    within, between = fit.scale, float(np.asarray(fit.cov_re)[0, 0])
    j = (c[:, None] == c[None, :]).astype(float)
    v = within * np.eye(len(y)) + between * j
    vi = np.linalg.inv(v)
    covariance = np.linalg.inv(x.T @ vi @ x)
    p = vi - vi @ x @ covariance @ x.T @ vi
    parts = [np.eye(len(y)), j]
    gradient = np.array([(covariance @ x.T @ vi @ a @ vi @ x @ covariance)[1, 1] for a in parts])
    information = np.array([[np.trace(p @ a @ p @ b) / 2 for b in parts] for a in parts])
    variance = covariance[1, 1]
    df = 2 * variance**2 / (gradient @ np.linalg.inv(information) @ gradient)
    effect = fit.fe_params[1]
    return {
        "rows": [[int(a), bool(b), round(float(v), 4)] for a, b, v in rows],
        "untreated_mean": fit.fe_params[0], "effect": effect, "standard_error": np.sqrt(variance),
        "within_sd": np.sqrt(within), "between_sd": np.sqrt(between), "degrees_of_freedom": df,
        "p": 2 * stats.t.sf(abs(effect) / np.sqrt(variance), df),
    }


def knees(n, between, missing=(), both=()):
    rows = []
    for subject in range(n):
        own = between * rng.normal()
        for treated in (False, True):
            if (subject, treated) in missing:
                continue
            is_treated = treated or subject in both
            value = 1.25 + own - (0.6 if is_treated else 0) + 1.2 * rng.normal()
            rows.append((subject, is_treated, round(float(value), 4)))
    return rows


def repeats(n, spread, error, bias):
    truth = 38 + spread * rng.normal(size=n)
    return [[round(float(a + error * rng.normal()), 4), round(float(a + bias + error * rng.normal()), 4)] for a in truth]


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return float(value) if isinstance(value, np.floating) else value


golden = {
    "repeatability": [
        repeatability(repeats(10, 3.0, 0.8, 0.0)),
        repeatability(repeats(18, 2.0, 1.5, 0.7)),
        repeatability(repeats(5, 4.0, 0.3, 0.4)),
    ],
    "mixed": [
        mixed(knees(9, 1.2)),
        mixed(knees(9, 1.5, missing=[(2, True), (6, False)])),
        mixed(knees(12, 1.0, both=[0, 4, 7])),
        mixed(knees(9, 2.0, missing=[(1, True)], both=[3])),
    ],
    "power": [
        {"n": n, "d_z": d,
         "power": float(stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, np.sqrt(n) * d)
                        + stats.nct.cdf(-stats.t.ppf(0.975, n - 1), n - 1, np.sqrt(n) * d))}
        for n, d in [(9, 0.423), (9, 0.516), (9, 0.833), (9, 1.001), (18, 0.6), (30, 0.4)]
    ],
}
print(json.dumps(plain(golden), indent=1))
