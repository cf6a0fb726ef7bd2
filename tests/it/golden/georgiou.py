"""Parameters of the Georgiou curve with the digits that its publication's table leaves out.

Least squares of the published formula to the curve of the publication's supplement, which OSIPI
distributes as GeorgiouAIF_ref.csv (label original_AIF). The printed parameters are these, cut after
two (scale and period: three) digits; they leave the curve by up to 0.082 mM, these by 2e-5 mM.

python3 georgiou.py .../PopulationAIF_DCE/data/GeorgiouAIF_ref.csv    (scipy 1.17)
"""

import csv
import sys

import numpy as np
from scipy.optimize import least_squares
from scipy.special import gammaln

PRINTED = np.array([0.37, 0.33, 10.06, 0.11, 1.17, 16.02, 5.26, 0.032, 0.129])


def density(shape, scale, t):
    out = np.zeros_like(t)
    m = t > 0
    log = shape * np.log(t[m]) - t[m] / scale - (shape + 1) * np.log(scale) - gammaln(shape + 1)
    out[m] = np.exp(log)
    return out


def curve(p, t):
    amplitudes, rates, (shape, scale, period) = p[:3], p[3:6], p[6:]
    washout = sum(a * np.exp(-r * t) for a, r in zip(amplitudes, rates))
    passages = sum(
        np.where(t >= j * period, density((j + 1) * shape + j, scale, t - j * period), 0)
        for j in range(int(t.max() / period) + 1)
    )
    return washout * passages


rows = [row for row in csv.DictReader(open(sys.argv[1])) if row["label"] == "original_AIF"]
t = np.array([float(row["time"]) for row in rows])
c = np.array([float(row["Cb"]) for row in rows])
weight = 1 / (1e-4 + 0.01 * c)
fit = least_squares(
    lambda p: (curve(p, t) - c) * weight, PRINTED, x_scale=PRINTED / 100,
    xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=2000,
)
print("printed:", np.abs(curve(PRINTED, t) - c).max(), "mM")
print("fitted: ", np.abs(curve(fit.x, t) - c).max(), "mM")
print([float(f"{value:.8g}") for value in fit.x])
fine = np.linspace(0, 1, 600_001)
values = curve(fit.x, fine)
area = np.sum((values[1:] + values[:-1]) / 2) * (fine[1] - fine[0]) * 60
print(f"peak {values.max():.6f} mM, IAUC60 {area:.5f} mM s")
