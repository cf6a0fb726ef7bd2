"""Writes models.json: optima of the three- and four-parameter models, of the Rician likelihood and of
the iterated straight line, by numpy and scipy.

Run: python models.py > models.json   (numpy and scipy; the seed is fixed)

Least squares: the lowest of `scipy.optimize.least_squares` over a grid of starts inside the same
bounds. `well_conditioned` where the optimum is inside the bounds and every standard error is below
half the estimate: there the estimates are compared, elsewhere the sum of squares only.
Rician: `scipy.optimize.minimize` (Nelder-Mead, restarted) of -sum log p of `scipy.stats.rice`.
Iterated straight line: weighted `numpy.linalg.lstsq` through ln S, weights = fitted S^2, until the
slope stands still.
"""

import itertools
import json
import sys

import numpy as np
from scipy.optimize import least_squares, minimize
from scipy.stats import rice

rng = np.random.default_rng(20210406)
B_IVIM = np.array([0, 10, 20, 40, 80, 110, 140, 170, 200, 300, 400, 600, 900.0])
B_KURTOSIS = np.array([0, 500, 1000, 1500, 2000.0])
B_ADC = np.array([0, 50, 100, 200, 400, 600, 800.0])
TE = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
TE10 = 0.012 * np.arange(1, 11)


def ivim(b, p):
    return p[3] * (p[2] * np.exp(-b * p[1]) + (1 - p[2]) * np.exp(-b * p[0]))


def kurtosis(b, p):
    return p[2] * np.exp(-b * p[0] + (b * p[0]) ** 2 * p[1] / 6)


def t2_offset(t, p):
    return p[2] * np.exp(-t / p[0]) + p[1]


def adc(b, p):
    return p[1] * np.exp(-b * p[0])


def t2(t, p):
    return p[1] * np.exp(-t / p[0])


INF = np.inf
MODELS = {
    # function, unit of each parameter, bounds, range of truth, starts
    "ivim": (ivim, [1e-3, 1e-2, 0.1, 1000.0], [(0, 4e-3), (4e-3, 0.3), (0, 1), (0, INF)],
             [(0.5e-3, 2e-3), (8e-3, 0.08), (0.02, 0.35), (900.0, 1100.0)],
             [[0.4e-3, 1e-3, 2.5e-3], [6e-3, 0.015, 0.04, 0.15], [0.05, 0.3, 0.7], [1000.0]]),
    "kurtosis": (kurtosis, [1e-3, 1.0, 1000.0], [(0, 6e-3), (-1, 5), (0, INF)],
                 [(0.4e-3, 1.8e-3), (0.0, 1.4), (900.0, 1100.0)],
                 [[0.3e-3, 1e-3, 2.5e-3], [0.0, 1.0, 3.0], [1000.0]]),
    "t2_offset": (t2_offset, [0.04, 50.0, 1000.0], [(1e-3, 3), (0, INF), (0, INF)],
                  [(0.012, 0.08), (0.0, 100.0), (900.0, 1100.0)],
                  [[0.006, 0.02, 0.05, 0.15, 0.6], [1.0, 80.0], [300.0, 1000.0]]),
}


def squares(name, x, samples):
    function, unit, bounds, _, starts = MODELS[name]
    unit = np.array(unit)
    scale = np.abs(samples).max()
    low = np.array([b[0] for b in bounds]) / unit
    high = np.array([b[1] for b in bounds]) / unit
    best = None
    for start in itertools.product(*starts):
        start = np.clip(np.array(start) / unit, low + 1e-6, np.minimum(high, 1e9) - 1e-6)
        # A complex step gives the Jacobian to rounding.
        def jac(q):
            rows = []
            for k in range(len(q)):
                z = q.astype(complex)
                z[k] += 1e-30j
                rows.append(function(x, z * unit).imag / 1e-30 / scale)
            return np.column_stack(rows)
        s = least_squares(lambda q: (function(x, q * unit) - samples) / scale, start, jac=jac,
                          bounds=(low, high), xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=500)
        if best is None or s.cost < best.cost:
            best = s
    p = best.x * unit
    inside = np.all(best.x - low > 1e-4) and np.all(high - best.x > 1e-4)
    rss = 2 * best.cost
    try:
        covariance = np.linalg.inv(best.jac.T @ best.jac) * rss / (len(x) - len(unit))
        errors = np.sqrt(np.diag(covariance))
    except np.linalg.LinAlgError:
        errors = np.full(len(unit), INF)
    good = bool(inside and np.all(errors < 0.5 * np.abs(best.x)))
    return {"samples": samples.tolist(), "estimates": p.tolist(), "rss": rss * scale**2,
            "well_conditioned": good,
            "standard_errors": (errors * unit).tolist() if good else None}


def draw(name, x, snr):
    function, _, _, truth, _ = MODELS[name]
    p = [rng.uniform(*r) for r in truth]
    return function(x, np.array(p)) + 1000.0 / snr * rng.standard_normal(len(x))


def likelihood(function, x, samples, sigma, start, bounds):
    unit = np.array(start)

    def cost(q):
        amplitude = function(x, q * unit)
        p = q * unit
        if any(not low <= v <= high for v, (low, high) in zip(p, bounds)):
            return INF
        if np.any(amplitude < 0) or np.any(~np.isfinite(amplitude)):
            return INF
        return -rice.logpdf(samples, amplitude / sigma, scale=sigma).sum()

    q = np.ones(len(unit))
    for _ in range(4):
        q = minimize(cost, q, method="Nelder-Mead",
                     options={"xatol": 1e-11, "fatol": 1e-14, "maxiter": 6000,
                              "maxfev": 6000}).x
    return {"samples": samples.tolist(), "sigma": sigma, "estimates": (q * unit).tolist(),
            "cost": cost(q)}


def rician(function, x, p, bounds, snr):
    sigma = 1000.0 / snr
    clean = function(x, np.array(p))
    samples = np.hypot(clean + sigma * rng.standard_normal(len(x)),
                       sigma * rng.standard_normal(len(x)))
    return likelihood(function, x, samples, sigma, p, bounds)


def iterated(x, samples):
    y = np.log(samples)
    w = samples
    slope = None
    for _ in range(500):
        design = np.column_stack([np.ones_like(x), x]) * w[:, None]
        (a, s), *_ = np.linalg.lstsq(design, y * w, rcond=None)
        done = slope is not None and abs(s - slope) * x.max() < 1e-14
        slope, w = s, np.exp(a + s * x - a)
        if done:
            break
    return {"samples": samples.tolist(), "estimates": [-slope, np.exp(a)]}


result = {"squares": [], "rician": [], "iterated": []}
for name, x, key in [("ivim", B_IVIM, "b_values_s_per_mm2"),
                     ("kurtosis", B_KURTOSIS, "b_values_s_per_mm2"),
                     ("t2_offset", TE10, "echo_times_s"), ("t2_offset", TE, "echo_times_s")]:
    voxels = [squares(name, x, np.round(draw(name, x, snr), 3))
              for snr in [15.0, 40.0, 150.0] for _ in range(10)]
    voxels += [squares(name, x, np.round(np.abs(20 * rng.standard_normal(len(x))), 3))
               for _ in range(6)]
    result["squares"].append({"model": name, key: x.tolist(), "voxels": voxels})
for name, function, x, p, bounds, key in [
        ("adc", adc, B_ADC, [2.0e-3, 1000.0], [(-0.5e-3, 6e-3), (0, INF)],
         "b_values_s_per_mm2"),
        ("t2", t2, TE, [0.03, 1000.0], [(1e-3, 3), (0, INF)], "echo_times_s"),
        ("kurtosis", kurtosis, B_KURTOSIS, [1.0e-3, 0.8, 1000.0],
         [(0, 6e-3), (-1, 5), (0, INF)], "b_values_s_per_mm2")]:
    voxels = [rician(function, x, p, bounds, snr) for snr in [5.0, 10.0, 30.0] for _ in range(6)]
    result["rician"].append({"model": name, key: x.tolist(), "voxels": voxels})
for name, x, rate, key in [("adc", B_ADC, 1.5e-3, "b_values_s_per_mm2"),
                           ("t2", TE, 25.0, "echo_times_s")]:
    clean = 1000 * np.exp(-rate * x)
    voxels = [iterated(x, np.hypot(clean + 1000 / snr * rng.standard_normal(len(x)),
                                   1000 / snr * rng.standard_normal(len(x))))
              for snr in [8.0, 30.0, 100.0] for _ in range(8)]
    result["iterated"].append({"model": name, key: x.tolist(), "voxels": voxels})
json.dump(result, sys.stdout, indent=0)
