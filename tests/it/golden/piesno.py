"""Noise level and noise voxels by PIESNO of DIPY 1.12 for src/noise/piesno/tests.rs.

Needs dipy. The phantom is made of integers hashed by splitmix64, so that the test makes the same
one: 48 x 48 x 3 voxels, 5 volumes, sigma 7; a bright disc, a dim disc at 1.5 sigma, air around.
Prints per number of channels and slice: sigma, voxels of noise, and the sum of their places modulo
65521.
"""

import numpy as np
from dipy.denoise.noise_estimate import piesno

SHAPE = (48, 48, 3)
VOLUMES = 5
SIGMA = 7.0


def uniform(index):
    z = (index.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def phantom(channels):
    k, j, i = np.meshgrid(*(np.arange(n) for n in SHAPE[::-1]), indexing="ij")
    bright = (i - 20) ** 2 + (j - 20) ** 2 < 12**2
    dim = (i - 36) ** 2 + (j - 36) ** 2 < 7**2
    amplitude = np.where(bright, 200.0, np.where(dim, 1.5 * SIGMA, 0.0)) / np.sqrt(channels)
    voxel = i + SHAPE[0] * (j + SHAPE[1] * k)
    data = np.zeros(SHAPE[::-1] + (VOLUMES,))
    for volume in range(VOLUMES):
        for channel in range(channels):
            draw = 2 * ((voxel * VOLUMES + volume) * channels + channel)
            radius = np.sqrt(-2.0 * np.log(uniform(draw)))
            angle = 2.0 * np.pi * uniform(draw + 1)
            real = amplitude + SIGMA * radius * np.cos(angle)
            imaginary = SIGMA * radius * np.sin(angle)
            data[..., volume] += real**2 + imaginary**2
    return np.sqrt(data), voxel


with np.errstate(over="ignore"):
    for channels in (1, 2, 3):
        data, voxel = phantom(channels)
        sigma, mask = piesno(
            np.ascontiguousarray(data.transpose(2, 1, 0, 3)), channels, eps=1e-12, return_mask=True
        )
        for k in range(SHAPE[2]):
            places = voxel[k][mask[:, :, k].T]
            print(channels, k, f"{sigma[k]:.6f}", len(places), int(places.sum()) % 65521)
