"""Writes tofts.json: optima of the extended Tofts model by scipy, each the best of ten starts.

Run: python tofts.py > tofts.json   (numpy and scipy; no random numbers)

The curves follow from formulas that golden_tofts.rs repeats, noise included: sines stand for it, so
that no samples need be stored. Concentrations in plasma are linear between frames. Solved for ve,
kep and vp inside ve of 0-1, kep of 0.01-20 per minute and vp >= 0; a solution at a bound is solved
again on the bound. Rows of the result are Ktrans (1/s), ve and vp.
"""

import json
import sys

import numpy as np
from scipy.optimize import least_squares

N_VOXELS = 512
N_STARTS = 10
TIMES_S = 5.0 * np.arange(60)
ARRIVAL_S = 25.0
LOW = np.array([0.0, 0.01 / 60, 0.0])
HIGH = np.array([1.0, 20.0 / 60, 1.0])
TIGHT = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 2000}


def plasma():
    since = np.maximum(TIMES_S - ARRIVAL_S, 0.0)
    return 6.0 * (since / 20.0) * np.exp(1.0 - since / 20.0) + 1.5 * (1.0 - np.exp(-since / 15.0))


def convolved(rates, blood):
    """e^(-rate t) convolved with the plasma curve, s mM, and its derivative by the rate, exactly."""
    x = rates * 5.0
    decay = np.exp(-x)
    # Integrals of e^(-x(1-u)) and of u e^(-x(1-u)) over u of 0-1, and their derivatives.
    f0 = -np.expm1(-x) / x
    f1 = (1.0 - f0) / x
    d0 = (decay - f0) / x
    d1 = (-d0 - f1) / x
    area, slope = np.zeros(len(TIMES_S)), np.zeros(len(TIMES_S))
    for k in range(1, len(TIMES_S)):
        left, rise = blood[k - 1], blood[k] - blood[k - 1]
        area[k] = decay * area[k - 1] + 5.0 * (left * f0 + rise * f1)
        slope[k] = decay * (slope[k - 1] - 5.0 * area[k - 1]) + 25.0 * (left * d0 + rise * d1)
    return area, slope


def truth(voxel):
    part = [(voxel + 1) * step % 1.0 for step in (0.6180339887, 0.7548776662, 0.5698402910)]
    ve, vp = 0.1 + 0.4 * part[1], 0.02 + 0.08 * part[2]
    return ve, (0.05 + 0.35 * part[0]) / 60.0 / ve, vp


def curve(voxel, blood):
    ve, kep, vp = truth(voxel)
    k = np.arange(len(TIMES_S))
    noise = np.sin(12.9898 * (k + 1) + 78.233 * (voxel + 1) + 3.7 * (k + 1) * (voxel + 1))
    return vp * blood + ve * kep * convolved(kep, blood)[0] + 0.04 * noise


def solve(own, blood, start, fixed):
    """Residuals and solution from `start`, where the parameters of `fixed` keep their values."""
    free = [i for i in range(3) if i not in fixed]

    def full(p):
        values = np.array(start)
        values[free] = p
        return values

    def residuals(p):
        ve, kep, vp = full(p)
        return vp * blood + ve * kep * convolved(kep, blood)[0] - own

    def jacobian(p):
        ve, kep, _ = full(p)
        area, slope = convolved(kep, blood)
        columns = np.stack([kep * area, ve * (area + kep * slope), blood], axis=1)
        return columns[:, free]

    scale = np.array([1.0, 0.01, 1.0])[free]
    found = least_squares(
        residuals, np.array(start)[free], jacobian, bounds=(LOW[free], HIGH[free]),
        x_scale=scale, method="trf", **TIGHT)
    return found.cost, full(found.x)


def polished(own, blood, values):
    """Gauss-Newton steps inside the bounds: sums of squares are flat to half the digits."""
    fixed = [i for i in range(3) if min(values[i] - LOW[i], HIGH[i] - values[i]) < 1e-7]
    for i in fixed:
        values[i] = LOW[i] if values[i] - LOW[i] < HIGH[i] - values[i] else HIGH[i]
    if fixed:
        values = solve(own, blood, values, fixed)[1]
    free = [i for i in range(3) if i not in fixed]
    for _ in range(30):
        ve, kep, vp = values
        area, slope = convolved(kep, blood)
        rest = own - vp * blood - ve * kep * area
        columns = np.stack([kep * area, ve * (area + kep * slope), blood], axis=1)[:, free]
        values[free] += np.linalg.lstsq(columns, rest, rcond=None)[0]
    return values


def main():
    blood = plasma()
    rng = np.random.default_rng(10)
    rows = []
    for voxel in range(N_VOXELS):
        own = curve(voxel, blood)
        starts = [[0.3, 0.5 / 60, 0.05]]
        starts += [list(rng.uniform([0.05, 0.05 / 60, 0.0], [0.9, 5.0 / 60, 0.3]))
                   for _ in range(N_STARTS - 1)]
        best = min((solve(own, blood, start, []) for start in starts), key=lambda s: s[0])
        ve, kep, vp = polished(own, blood, best[1])
        rows.append([float(f"{value:.10g}") for value in (ve * kep, ve, vp)])
        print(voxel, rows[-1], file=sys.stderr)
    text = ",\n".join(json.dumps(row) for row in rows)
    print(f'{{"estimates": [\n{text}\n]}}')


if __name__ == "__main__":
    main()
