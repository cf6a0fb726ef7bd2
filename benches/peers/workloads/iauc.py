"""Initial area under the concentration curve, 192×192×40 × 60 frames: kernels, one thread each."""

import numpy as np

import inputs
from timing import Row, cpu_of, interleave

INPUTS = ["dce"]
N_BASELINE = 5
WINDOW_S = 60.0
N_TIMED = 100_000
# Our kernels, and what they do.
OURS = {
    "iauc60": "from 4-D volume, all voxels, with standard error",
    "iauc60_packed": "packed tissue in the caches, with standard error",
    "iauc60_packed_area": "packed tissue in the caches, no standard error",
}


def concentrations(samples, baseline):
    """mM from the closed inverse of the spoiled gradient echo, shape [n_voxels, n_frames]."""
    cosine = np.cos(np.deg2rad(inputs.FLIP_ANGLE_DEG))
    e10 = np.exp(-inputs.REPETITION_TIME_S / inputs.T10_S)
    relative = samples / baseline[:, None] * ((1 - e10) / (1 - e10 * cosine))
    e1 = (1 - relative) / (1 - relative * cosine)
    rate = -np.log(e1) / inputs.REPETITION_TIME_S
    return (rate - 1 / inputs.T10_S) / inputs.RELAXIVITY_PER_S_PER_MM


def area(samples, frames=slice(None)):
    """Trapezia from the arrival to 60 s later, which are frames here."""
    samples = samples.astype(float)
    with np.errstate(all="ignore"):
        baseline = samples[:, :N_BASELINE].mean(axis=1)
        curve = concentrations(samples[:, frames], baseline)
    times = inputs.FRAME_TIMES_S[frames]
    end = inputs.ARRIVAL_S + WINDOW_S
    inside = (times >= inputs.ARRIVAL_S) & (times <= end)
    return np.trapz(curve[:, inside], times[inside], axis=1)


def measure(bench):
    packed = inputs.voxels(bench.inputs / "dce.nii")
    middle = len(packed) // 2
    timed = np.ascontiguousarray(packed[middle : middle + N_TIMED])
    last = int(np.searchsorted(inputs.FRAME_TIMES_S, inputs.ARRIVAL_S + WINDOW_S)) + 1
    used = np.ascontiguousarray(timed[:, :last])
    kernels = bench.kernels()
    found = interleave(
        {
            "all": cpu_of(lambda: area(timed), len(timed)),
            "used": cpu_of(lambda: area(used, slice(0, last)), len(used)),
            **{name: kernels.cost(name) for name in OURS},
        },
        bench.rounds,
    )
    values = np.array(kernels.values("iauc60"))
    kernels.close()
    few = packed[inputs.spread(len(packed), len(values))]
    exact = area(few)
    usable = np.isfinite(values) & np.isfinite(exact)
    scale = np.median(np.abs(exact[usable]))
    largest = np.max(np.abs(values[usable] - exact[usable])) / scale
    own = f"max {largest:.0e} of the median"
    names = {"all": "numpy, 60 frames", "used": f"numpy, {last} frames"}
    return [
        Row(
            workload="iauc60",
            peer=names[key],
            item="voxel",
            peer_cost_s=found[key],
            our_cost_s=found[name],
            ours=ours,
            peer_accuracy="reference",
            our_accuracy=own,
            note=f"peer on {N_TIMED} voxels in memory, no standard error",
        )
        for name, ours in OURS.items()
        for key in names
    ]
