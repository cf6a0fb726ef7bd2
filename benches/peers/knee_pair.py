"""Two images of one knee with different contrasts and a known deformation between them.

Ellipsoids with texture, 192 x 192 x 30 voxels of 0.83 x 0.83 x 3 mm, noise 5 of 150. `there` takes
positions of the moving image to the fixed one: 2 degrees, 2.7 mm and a cubic spline of up to 4.5 mm on
control points 30 x 30 x 20 mm apart. Its inverse, by fixed-point iteration, is what a registration
has to find.
"""

import nibabel
import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

SHAPE = (192, 192, 30)
SPACING_MM = np.array([0.83, 0.83, 3.0])
CENTRE_MM = np.array(SHAPE) * SPACING_MM / 2
LABELS = {"muscle": 2, "bone": 3, "cartilage": 4}
# Intensities of air, fat, muscle, bone and cartilage.
FIXED, MOVING = [0, 150, 90, 60, 170], [0, 60, 70, 140, 110]
TURN = np.deg2rad(2.0)
ROTATION = np.array(
    [[np.cos(TURN), -np.sin(TURN), 0], [np.sin(TURN), np.cos(TURN), 0], [0, 0, 1]]
)
SHIFT_MM = np.array([2.0, -1.5, 1.0])


def positions():
    """Centres of all voxels, mm, [nx, ny, nz, 3]."""
    grid = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    return np.stack(grid, axis=-1) * SPACING_MM


def labels(places):
    def ellipsoid(centre, radii):
        return np.sqrt((((places - CENTRE_MM - centre) / radii) ** 2).sum(axis=-1))

    found = np.zeros(places.shape[:-1], np.uint8)
    found[ellipsoid([0, 0, 0], [68, 62, 70]) < 1] = 1
    found[ellipsoid([3, -3, 0], [56, 48, 62]) < 1] = LABELS["muscle"]
    for z, radii in [(21.6, [27, 24, 24]), (-23.4, [28, 22, 22])]:
        outer, inner = np.add(radii, [3, 3, 8]), np.add(radii, [0, 0, 5])
        found[ellipsoid([0, z, 0], outer) < 1] = LABELS["cartilage"]
        found[ellipsoid([0, z, 0], inner) < 1] = LABELS["bone"]
    return found


def signals(places, intensities, rng):
    x, y, z = np.moveaxis(places - CENTRE_MM, -1, 0)
    texture = np.sin(0.45 * x + 0.2 * z) * np.cos(0.4 * y - 0.1 * x)
    texture += np.sin(0.3 * z + 0.25 * y) * np.cos(0.3 * x + 0.35 * y)
    clean = np.array(intensities, float)[labels(places)] * (1 + 0.1 * texture)
    return gaussian_filter(clean, [0.5, 0.5, 0.3]) + rng.normal(0, 5, SHAPE)


def spline(control_mm, places):
    at = [places[..., 0] / 30 + 1, places[..., 1] / 30 + 1, places[..., 2] / 20 + 1]
    along = [map_coordinates(c, at, order=3, mode="nearest", prefilter=False) for c in control_mm]
    return np.stack(along, axis=-1)


def there(control_mm, places):
    moved = (places - CENTRE_MM) @ ROTATION.T + CENTRE_MM + SHIFT_MM
    return moved + spline(control_mm, places)


def back(control_mm, places):
    found = places.copy()
    for _ in range(60):
        found = (places - SHIFT_MM - spline(control_mm, found) - CENTRE_MM) @ ROTATION + CENTRE_MM
    return found


def make(folder):
    rng = np.random.default_rng(7)
    control_mm = rng.uniform(-4.5, 4.5, (3, 7, 7, 6))
    places = positions()
    moved = there(control_mm, places)
    files = {
        "knee_fixed": signals(places, FIXED, rng).astype(np.float32),
        "knee_moving": signals(moved, MOVING, rng).astype(np.float32),
        "knee_fixed_labels": labels(places),
        "knee_moving_labels": labels(moved),
        "knee_truth": (back(control_mm, places) - places).astype(np.float32),
    }
    for name, array in files.items():
        image = nibabel.Nifti1Image(array, np.diag([*SPACING_MM, 1]))
        nibabel.save(image, folder / f"{name}.nii")
