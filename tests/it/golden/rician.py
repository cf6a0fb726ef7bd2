"""Reference numbers for `noise::bessel`, `noise::rician` and `noise::residual`.

Bessel: power series of DLMF 10.25.2 in 120 decimal digits, scaled by exp(-x).
Moments: numerical integration of the Rician density written with scipy.special.ive.
Log density: scipy.stats.rice. Chi-square medians: scipy.stats.chi2.

Run: python rician.py (numpy, scipy).
"""

from decimal import Decimal, getcontext

from scipy.integrate import quad
from scipy.special import ive
from scipy.stats import chi2, rice
import numpy as np

getcontext().prec = 120


def bessel_scaled(order, x):
    x = Decimal(x)
    term = (x / 2) ** order if order else Decimal(1)
    total, k = term, 0
    while k < 20 or term > total * Decimal(10) ** -80:
        k += 1
        term *= x * x / (4 * k * (k + order))
        total += term
    return total * (-x).exp()


print("bessel: x, exp(-x) I0, exp(-x) I1")
for x in ["0.001", "0.5", "1", "3.75", "8", "15", "19.9", "20.1", "35", "100", "700", "2000"]:
    print(f"({x}, {bessel_scaled(0, x):.20e}, {bessel_scaled(1, x):.20e}),")

print("moments: amplitude / sigma, mean / sigma, sd / sigma")
for a in [0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 25.0]:
    density = lambda m: m * np.exp(-((m - a) ** 2) / 2) * ive(0, m * a)
    low, high = max(0.0, a - 12), a + 12
    moment = lambda f: quad(f, low, high, epsabs=0, epsrel=1e-13, limit=500)[0]
    mean = moment(lambda m: m * density(m))
    variance = moment(lambda m: (m - mean) ** 2 * density(m))
    print(f"({a}, {mean:.12f}, {variance ** 0.5:.12f}),")

print("log density: magnitude, amplitude, sigma, ln p")
for m, a, s in [(0.3, 0.0, 1.0), (2.0, 1.5, 0.7), (40.0, 38.0, 2.5), (900.0, 1000.0, 20.0), (80.0, 90.0, 2.0)]:
    print(f"({m}, {a}, {s}, {rice.logpdf(m, a / s, scale=s):.13e}),")

print("chi-square medians")
for nu in [1, 2, 3, 5, 40]:
    print(f"({nu}, {chi2.ppf(0.5, nu):.14f}),")

print("distribution: amplitude / sigma, then limit and probability of a smaller magnitude")
for a, limits in [(0.0, [0.5, 1.2, 3.0]), (2.0, [0.5, 2.2, 4.5]), (6.0, [4.0, 6.1, 8.5])]:
    print(a, [(limit, f"{rice.cdf(limit, a):.15f}") for limit in limits])
