"""Naive ADC (mean over all voxels) of the constructed tumours, from the design's equations alone.

Prints mean and 100*SD/mean over the tumours of GN and GNB, whose scores need no random numbers, and
for NB, whose scores are permuted, the median of both over 300 seeds.
The numbers stand in src/simulate/neuroblastoma/design.rs. numpy 1.26 or later.
"""

import numpy as np


def standardised(z):
    z = np.asarray(z, float)
    return (z - z.mean()) / z.std(ddof=1)


def summary(viable, target, fraction):
    above = np.maximum(target, viable + 0.05) - viable
    f = np.clip(fraction(above), 0.15, 0.85)
    contaminant = np.minimum(viable + above / f, 3.0)
    value = (1 - f) * viable + f * contaminant
    return value.mean(), 100 * value.std(ddof=1) / value.mean()


def naive(z, m0, u0, m1, u1, reference):
    viable = m0 * (1 + u0 * z)
    return summary(viable, m1 * (1 + u1 * z), lambda above: above / (reference - viable))


def naive_neuroblastoma(seed):
    z = standardised(np.arange(18))
    random = np.random.default_rng(seed)
    z1, z2 = random.permutation(z), random.permutation(z)
    fraction = 1 - 17 * (1 + 0.17 * z1) / (43 * (1 + 0.14 * z2))
    return summary(0.54 * (1 + 0.20 * z), 1.3 * (1 + 0.23 * z1), lambda above: fraction)


print("GN  %.9f %.7f" % naive(standardised(np.linspace(-1, 1, 6)), 1.2, 0.37, 1.6, 0.45, 2.6))
print("GNB %.9f %.7f" % naive(standardised([-1, -0.9, -0.8, 0.8, 0.9, 1]), 0.74, 0.43, 1.7, 0.63, 2.9))
print("NB  %.4f %.2f" % tuple(np.median([naive_neuroblastoma(s) for s in range(300)], axis=0)))
