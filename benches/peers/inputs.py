"""Input files of all workloads, from fixed seeds.

Protocols are those of benches/shared/estimators.rs. Tissue (signal-to-noise ratio 50) fills a disc
of 30 % of each slice, air the rest; signals are Rician magnitudes in float32.
"""

import gzip

import nibabel
import numpy as np

import knee_pair

AMPLITUDE = 1000.0
SIGMA = 20.0
TISSUE_FRACTION = 0.3
ECHO_TIMES_S = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
B_VALUES_S_PER_MM2 = np.array([0.0, 200.0, 500.0, 1000.0])
FRAME_TIMES_S = 5.0 * np.arange(60)
ARRIVAL_S = 25.0
T10_S = 1.2
REPETITION_TIME_S = 0.005
FLIP_ANGLE_DEG = 15.0
RELAXIVITY_PER_S_PER_MM = 4.5


def disc(shape, fraction):
    """A disc in every slice that holds `fraction` of it."""
    x = np.arange(shape[0]) + 0.5 - 0.5 * shape[0]
    y = np.arange(shape[1]) + 0.5 - 0.5 * shape[1]
    slice_ = x[:, None] ** 2 + y[None, :] ** 2 <= fraction * shape[0] * shape[1] / np.pi
    return np.broadcast_to(slice_[:, :, None], shape)


def magnitudes(rng, shape, n_samples, signal):
    """Rician magnitudes, `signal(uniform of the voxel, sample)` in tissue, nothing in air."""
    tissue = disc(shape, TISSUE_FRACTION)
    uniform = rng.random(shape, dtype=np.float32)
    series = np.empty((*shape, n_samples), dtype=np.float32, order="F")
    for sample in range(n_samples):
        real = np.where(tissue, signal(uniform, sample), 0.0).astype(np.float32)
        real += SIGMA * rng.standard_normal(shape, dtype=np.float32)
        imaginary = SIGMA * rng.standard_normal(shape, dtype=np.float32)
        series[..., sample] = np.hypot(real, imaginary)
    return series


def save(path, array):
    """A NIfTI file of 1 mm voxels."""
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)


def pack(path):
    """The gzipped copy of `path`, at the level that converters of scanner data use."""
    with gzip.open(f"{path}.gz", "wb", compresslevel=6) as packed:
        packed.write(path.read_bytes())


def make_t2(folder):
    shape = (384, 384, 27)
    save(folder / "t2_mask.nii", disc(shape, 0.3).astype(np.uint8))

    def signal(uniform, echo):
        return AMPLITUDE * np.exp(-(12.5 + 37.5 * uniform) * ECHO_TIMES_S[echo])

    rng = np.random.default_rng(1)
    save(folder / "t2.nii", magnitudes(rng, shape, len(ECHO_TIMES_S), signal))
    pack(folder / "t2.nii")


def make_adc(folder):
    shape = (256, 256, 40)
    save(folder / "adc_region.nii", disc(shape, 0.1).astype(np.uint8))

    def signal(uniform, sample):
        return AMPLITUDE * np.exp(-(0.5e-3 + 2e-3 * uniform) * B_VALUES_S_PER_MM2[sample])

    rng = np.random.default_rng(2)
    save(folder / "adc.nii", magnitudes(rng, shape, len(B_VALUES_S_PER_MM2), signal))
    pack(folder / "adc.nii")
    np.savetxt(folder / "adc.bval", B_VALUES_S_PER_MM2[None], fmt="%g")
    directions = np.zeros((3, len(B_VALUES_S_PER_MM2)))
    directions[0, 1:] = 1.0
    np.savetxt(folder / "adc.bvec", directions, fmt="%g")


def spoiled(rate_per_s):
    """Steady state of a spoiled gradient echo of amplitude 1."""
    angle = np.deg2rad(FLIP_ANGLE_DEG)
    e = np.exp(-REPETITION_TIME_S * rate_per_s)
    return np.sin(angle) * (1 - e) / (1 - e * np.cos(angle))


def make_dce(folder):
    shape = (192, 192, 40)

    def signal(uniform, frame):
        minutes = max(FRAME_TIMES_S[frame] - ARRIVAL_S, 0.0) / 60
        concentration = uniform * (1 - np.exp(-4 * minutes)) * np.exp(-0.2 * minutes)
        rate = 1 / T10_S + RELAXIVITY_PER_S_PER_MM * concentration
        return 20 * AMPLITUDE * spoiled(rate)

    rng = np.random.default_rng(3)
    save(folder / "dce.nii", magnitudes(rng, shape, len(FRAME_TIMES_S), signal))
    save(folder / "dce_mask.nii", disc(shape, TISSUE_FRACTION).astype(np.uint8))
    np.savetxt(folder / "frame_times_s.txt", FRAME_TIMES_S, fmt="%g")


def make_groups(folder):
    """Three overlapping groups of two variables, a million samples."""
    rng = np.random.default_rng(4)
    centres = np.array([[0.8, 0.1], [1.2, 0.4], [1.9, 0.2]])
    samples = centres[rng.integers(0, 3, 1_000_000)]
    samples = samples + rng.standard_normal(samples.shape) * [0.2, 0.1]
    for name, column in zip(["first", "second"], samples.T):
        save(folder / f"{name}.nii", column.reshape(100, 100, 100, order="F"))


def make_cartilage(folder):
    """Two condyles under a sheet of cartilage of 1.5 to 3 mm, as large as a scan of a knee."""
    shape, spacing_mm = (384, 384, 160), (0.365, 0.456, 0.7)
    x, y, z = np.meshgrid(
        *[s * (np.arange(n) - 0.5 * (n - 1)) for n, s in zip(shape, spacing_mm)],
        indexing="ij", sparse=True,
    )
    radius_mm = np.sqrt(x**2 + (y - 10.0) ** 2)
    angle = np.arctan2(y - 10.0, x)
    thickness_mm = 2.25 + 0.75 * np.cos(3 * angle) * np.cos(0.15 * z)
    sheet = (radius_mm > 30.0) & (radius_mm <= 30.0 + thickness_mm) & (np.abs(angle) < 2.0)
    mask = sheet & (np.abs(z) > 4.0) & (np.abs(z) < 36.0)
    image = nibabel.Nifti1Image(mask.astype(np.uint8), np.diag([*spacing_mm, 1.0]))
    nibabel.save(image, folder / "cartilage.nii")


MAKERS = {
    "t2": make_t2,
    "adc": make_adc,
    "dce": make_dce,
    "groups": make_groups,
    "cartilage": make_cartilage,
    "knee": knee_pair.make,
}


def make(folder, names):
    """Makes the inputs called `names` unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        stamp = folder / f"{name}.made"
        if not stamp.exists():
            MAKERS[name](folder)
            stamp.touch()


def voxels(path, mask_path=None):
    """Samples of the voxels of a mask, shape [n_voxels, n_samples], x fastest, float32."""
    series = np.asanyarray(nibabel.load(path).dataobj)
    packed = series.reshape(-1, series.shape[-1], order="F")
    if mask_path is None:
        return packed
    mask = np.asanyarray(nibabel.load(mask_path).dataobj)
    return packed[mask.ravel(order="F") > 0]


def spread(n, count):
    """Places of `count` of `n` voxels, as benches/kernel_times chooses them."""
    count = min(n, count)
    return np.arange(count) * n // count
