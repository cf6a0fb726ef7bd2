"""Optima of single voxels, by scipy at its tightest tolerances and polished, and distances from them."""

import numpy as np
from scipy.optimize import least_squares


def weighted_log_linear(abscissae, samples):
    """Amplitudes and rates of the straight line through ln S weighted by S², [n, n_samples]."""
    samples = np.maximum(np.asarray(samples, dtype=float), 1e-3)
    weights = samples**2
    logarithms = np.log(samples)
    n = weights.sum(axis=1)
    x = weights @ abscissae
    xx = weights @ abscissae**2
    y = (weights * logarithms).sum(axis=1)
    xy = (weights * logarithms) @ abscissae
    slope = (n * xy - x * y) / (n * xx - x * x)
    return np.exp((y - slope * x) / n), -slope


def optimal_rates(abscissae, samples):
    """Rates of the least-squares fits of amplitude · e^(−rate · abscissa), [n, n_samples]."""
    span = abscissae.max()
    unit = abscissae / span
    amplitudes, rates = weighted_log_linear(abscissae, samples)
    found = np.empty(len(samples))
    for voxel, own in enumerate(np.asarray(samples, dtype=float)):
        scaled = own / amplitudes[voxel]

        def residuals(p):
            return p[0] * np.exp(-p[1] * unit) - scaled

        def jacobian(p):
            curve = np.exp(-p[1] * unit)
            return np.stack([curve, -p[0] * unit * curve], axis=1)

        start = [1.0, rates[voxel] * span]
        tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 1000}
        found[voxel] = least_squares(residuals, start, jacobian, method="lm", **tight).x[1] / span
    return polished(abscissae, np.asarray(samples, dtype=float), found)


def polished(x, samples, rates):
    """Rates after three Newton steps on the gradient of (Σ S e)² / Σ e², e = e^(−rate · x).

    A sum of squares is flat to half the digits at its minimum, and so are solvers that watch it:
    scipy stops about 1e-8 from the optimum.
    """
    for _ in range(3):
        curves = np.exp(-rates[:, None] * x)
        p, p1, p2 = [(samples * curves) @ (-x) ** k for k in range(3)]
        q, q1, q2 = [curves**2 @ (-2 * x) ** k for k in range(3)]
        rates = rates - (2 * p1 * q - p * q1) / (2 * p2 * q + p1 * q1 - p * q2)
    return rates


def distance(values, optimum):
    """Median, 99th percentile and maximum of the relative difference, as text and numbers."""
    values, optimum = np.asarray(values, dtype=float), np.asarray(optimum)
    relative = np.abs(values / optimum - 1)
    n_missing = int(np.count_nonzero(~np.isfinite(relative)))
    relative = relative[np.isfinite(relative)]
    p99, maximum = np.quantile(relative, 0.99), relative.max()
    text = f"p99 {p99:.0e}, max {maximum:.0e}"
    if n_missing:
        text += f", {n_missing} without"
    return text, float(maximum)
