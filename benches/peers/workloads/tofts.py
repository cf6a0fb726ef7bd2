"""Extended Tofts model, 60 frames, simulated curves: solvers on concentrations.

The code collection of OSIPI is no package: `git clone` fetches it where the network allows, or the
environment variable OSIPI_COLLECTION names a copy.
"""

import importlib.util
import os
import pathlib
import subprocess

import numpy as np
from scipy.optimize import curve_fit

import inputs
from timing import Row, cpu_of, interleave

INPUTS = []
N_TIMED = 400
REPOSITORY = "https://github.com/OSIPI/DCE-DSC-MRI_CodeCollection"
TOOLS = pathlib.Path("src/original/ST_USyd_AUS/Tools.py")


def artery():
    """Concentration in plasma, mM: a fast and a slow exponential from the arrival on."""
    minutes = np.maximum(inputs.FRAME_TIMES_S - inputs.ARRIVAL_S, 0) / 60
    rising = 1 - np.exp(-12 * minutes)
    return rising * (4 * np.exp(-4 * minutes) + 1.2 * np.exp(-0.1 * minutes))


def own_exponential_convolution(time_constant, times, curve):
    """(1/T) e^(−t/T) ⊗ curve, exact for a curve that is linear between frames."""
    steps = np.diff(times) / time_constant
    slopes = np.diff(curve) / steps
    decay = np.exp(-steps)
    added = curve[:-1] * (1 - decay) + slopes * (steps - (1 - decay))
    found = np.zeros(len(times))
    for k in range(len(steps)):
        found[k + 1] = decay[k] * found[k] + added[k]
    return found


def collection(bench):
    """The convolution of the University of Sydney in OSIPI's collection; `None` without it."""
    folder = pathlib.Path(os.environ.get("OSIPI_COLLECTION", bench.folder / "osipi"))
    if not (folder / TOOLS).exists() and "OSIPI_COLLECTION" not in os.environ:
        clone = ["git", "clone", "--quiet", "--depth", "1", REPOSITORY, folder]
        subprocess.run(clone, stderr=subprocess.DEVNULL, check=False, timeout=120)
    if not (folder / TOOLS).exists():
        bench.skipped("OSIPI ST_USyd", "no package; the collection could not be cloned")
        return None
    spec = importlib.util.spec_from_file_location("usyd_tools", folder / TOOLS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.expconv


def fits(convolution, curves, blood):
    """Ktrans (1/min), kep (1/min) and vp of every curve by curve_fit."""
    minutes = inputs.FRAME_TIMES_S / 60

    def model(times, transfer, exchange, plasma):
        return plasma * blood + transfer / exchange * convolution(1 / exchange, times, blood)

    return [curve_fit(model, minutes, curve, p0=[0.1, 0.5, 0.02])[0] for curve in curves]


def measure(bench):
    rng = np.random.default_rng(5)
    blood = artery()
    minutes = inputs.FRAME_TIMES_S / 60
    curves = []
    for transfer in rng.uniform(0.05, 0.4, N_TIMED):
        kept = own_exponential_convolution(0.25 / transfer, minutes, blood)
        curves.append(0.02 * blood + 0.25 * kept + 0.03 * rng.standard_normal(len(minutes)))
    peers = {"numpy exponential convolution + curve_fit": own_exponential_convolution}
    sydney = collection(bench)
    if sydney is not None:
        peers["OSIPI ST_USyd + curve_fit"] = sydney
    costs = {
        name: cpu_of(lambda c=convolution: fits(c, curves, blood), N_TIMED)
        for name, convolution in peers.items()
    }
    found = interleave(costs, bench.rounds)
    return [
        Row(
            workload="extended Tofts",
            peer=name,
            item="fit",
            peer_cost_s=found[name],
            our_cost_s=None,
            ours="kernel not timed here yet",
            note=f"peer on {N_TIMED} curves",
        )
        for name in peers
    ]
