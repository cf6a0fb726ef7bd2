"""Peer as a whole process: map of 1/rate by nibabel and numpy, log-linear weighted by S².

    python weighted_log_linear.py SERIES MAP ABSCISSA ...
"""

import sys

import nibabel
import numpy as np

_, series_path, map_path, *abscissae = sys.argv
image = nibabel.load(series_path)
series = np.asanyarray(image.dataobj, dtype=np.float32)
sums = [np.zeros(series.shape[:3], dtype=np.float32) for _ in range(5)]
for sample, x in enumerate(map(float, abscissae)):
    signal = np.maximum(series[..., sample], np.float32(1e-3))
    weight = signal * signal
    logarithm = weight * np.log(signal)
    for total, term in zip(sums, [weight, weight * x, weight * x * x, logarithm, logarithm * x]):
        total += term
n, x, xx, y, xy = sums
with np.errstate(all="ignore"):
    inverse_rate = (n * xx - x * x) / (x * y - n * xy)
nibabel.save(nibabel.Nifti1Image(inverse_rate.astype(np.float32), image.affine), map_path)
