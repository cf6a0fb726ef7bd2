"""Writes fits.json: least-squares optima of simulated voxels by scipy, from many starts.

Run: python fits.py > fits.json   (numpy and scipy; the seed is fixed)

For each voxel the lowest sum of squares over all starts is kept. The rate is bounded, the amplitude
is not negative. `tolerance` is the relative accuracy to which the data determine the rate in 64-bit:
None where the optimum is at a bound or nearly flat.
"""

import json
import sys

import numpy as np
from scipy.optimize import least_squares

SEED = 20201119
rng = np.random.default_rng(SEED)


def exponential(x):
    return lambda rate: np.exp(-rate * x), lambda rate: -x * np.exp(-rate * x)


def spoiled(flips, tr):
    s, c = np.sin(flips), np.cos(flips)

    def curve(rate):
        e = np.exp(-tr * rate)
        return s * (1 - e) / (1 - c * e)

    def slope(rate):
        e = np.exp(-tr * rate)
        return s * (1 - c) * tr * e / (1 - c * e) ** 2

    return curve, slope


def fit(curve, slope, bounds, unit, samples, starts):
    """Rates are solved in `unit`, samples are scaled: scipy's steps then see numbers near 1."""
    scale = np.abs(samples).max()
    y = samples / scale
    low, high = bounds[0] / unit, bounds[1] / unit
    best = None
    for start in starts:
        f = curve(start)
        a = max(f @ y / (f @ f), 1e-3)
        solution = least_squares(
            lambda x: x[1] * curve(x[0] * unit) - y,
            [np.clip(start / unit, low * (1 + 1e-6) + 1e-9, high * (1 - 1e-6)), a],
            jac=lambda x: np.column_stack([x[1] * slope(x[0] * unit) * unit, curve(x[0] * unit)]),
            bounds=([low, 0.0], [high, np.inf]),
            method="trf", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=400)
        rate = solution.x[0] * unit
        f = curve(rate)
        amplitude = max(f @ y / (f @ f), 0.0)
        rss = ((y - amplitude * f) ** 2).sum()
        if best is None or rss < best[2]:
            best = (rate, amplitude, rss)
    rate, amplitude, rss = best
    # Curvature of the profile by differences: flat or bounded optima are compared by RSS only.
    def profile(rate):
        f = curve(rate)
        p = max(f @ y, 0.0)
        return y @ y - p * p / (f @ f)
    h = 1e-3 * max(abs(rate), 0.05 * unit)
    inside = bounds[0] + 2 * h < rate < bounds[1] - 2 * h and amplitude > 1e-6
    curvature = (profile(rate + h) - 2 * profile(rate) + profile(rate - h)) / h**2
    good = inside and curvature * rate**2 > 1e-3 * (y @ y)
    return {
        "samples": samples.tolist(), "rate": rate, "amplitude": amplitude * scale,
        "rss": rss * scale**2, "well_conditioned": bool(good)}


def rician(signal, sigma):
    n = signal.size
    return np.hypot(signal + sigma * rng.standard_normal(n), sigma * rng.standard_normal(n))


def cases(name, unit, bounds, functions, rates, starts, protocol):
    curve, slope = functions
    voxels = []
    reference = curve(rates[0]).max()
    for i in range(60):
        rate = rng.uniform(*rates)
        clean = 1000.0 * curve(rate) / reference
        if i < 30:
            samples = rician(clean, 1000.0 / rng.choice([10, 30, 100]))
        elif i < 45:
            samples = rician(0 * clean, 20.0)
        else:
            samples = 20.0 * rng.standard_normal(clean.size)
        samples = np.round(samples, 3)
        voxels.append(fit(curve, slope, bounds, unit, samples, starts))
    return {"model": name, "rate_bounds": bounds, "voxels": voxels, **protocol}


b4 = np.array([0.0, 200.0, 500.0, 1000.0])
b7 = np.array([0.0, 50.0, 100.0, 200.0, 400.0, 600.0, 800.0])
te = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
flips = np.radians([2.0, 5.0, 10.0, 15.0, 20.0, 30.0])
tr = 0.005
adc_starts = np.concatenate([np.linspace(-0.48e-3, 5.9e-3, 14), [1e-5, 1e-4]])
t2_starts = np.geomspace(0.34, 980.0, 16)
t1_starts = np.geomspace(0.101, 990.0, 16)
result = [
    cases("adc", 1e-3, [-0.5e-3, 6e-3], exponential(b4), (0.3e-3, 3e-3), adc_starts,
          {"b_values_s_per_mm2": b4.tolist()}),
    cases("adc", 1e-3, [-0.5e-3, 6e-3], exponential(b7), (0.3e-3, 3e-3), adc_starts,
          {"b_values_s_per_mm2": b7.tolist()}),
    cases("t2", 25.0, [1.0 / 3.0, 1000.0], exponential(te), (12.0, 60.0), t2_starts,
          {"echo_times_s": te.tolist()}),
    cases("t1_vfa", 1.0, [0.1, 1000.0], spoiled(flips, tr), (0.4, 3.0), t1_starts,
          {"flip_angles_rad": flips.tolist(), "repetition_time_s": tr}),
]
json.dump(result, sys.stdout, indent=0)
