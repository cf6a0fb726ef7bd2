"""Independent numbers for tests/it/golden_thickness.rs: numpy, scipy.

Shell of cartilage (1.5 or 2.5 mm) on a ball of bone (20 mm), voxels 0.365 x 0.456 x 0.7 mm, the
grid of `grid([24.0; 3], 0.0)`. Prints mean and standard deviation over points, without area weights.

voxel:    scipy.ndimage.distance_transform_edt to bone, at cartilage voxels with a background face.
subvoxel: scipy.ndimage.gaussian_filter, crossings of 0.5 on the edges and diagonals between voxel
          centres, nearest neighbour by scipy.spatial.cKDTree.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

SPACING = np.array([0.365, 0.456, 0.7])
SHAPE = np.ceil(48.0 / SPACING).astype(int) + 1
ORIGIN = -SPACING * (SHAPE // 2) + [0.07, -0.11, 0.13]


def crossings(field):
    points = []
    for direction in np.ndindex(2, 2, 2):
        if any(direction):
            low_end = tuple(slice(0, n - d) for n, d in zip(SHAPE, direction))
            high_end = tuple(slice(d, n) for n, d in zip(SHAPE, direction))
            low, high = field[low_end], field[high_end]
            at = np.argwhere((low >= 0.5) != (high >= 0.5))
            low, high = low[tuple(at.T)], high[tuple(at.T)]
            fraction = (0.5 - low) / (high - low)
            points.append(ORIGIN + SPACING * (at + fraction[:, None] * direction))
    return np.concatenate(points)


axes = [ORIGIN[a] + SPACING[a] * np.arange(SHAPE[a]) for a in range(3)]
radius = np.sqrt(sum(x**2 for x in np.meshgrid(*axes, indexing="ij")))
for thickness in (1.5, 2.5):
    bone = radius <= 20
    whole = radius <= 20 + thickness
    outer = whole & ndimage.binary_dilation(~whole)
    distance = ndimage.distance_transform_edt(~bone, sampling=SPACING)[outer]
    print(thickness, "voxel", distance.size, distance.mean(), distance.std(ddof=1))
    smooth = [
        crossings(ndimage.gaussian_filter(m.astype(float), 0.7 / SPACING, mode="nearest"))
        for m in (bone, whole)
    ]
    distance, _ = cKDTree(smooth[0]).query(smooth[1])
    print(thickness, "subvoxel", distance.size, distance.mean(), distance.std(ddof=1))
