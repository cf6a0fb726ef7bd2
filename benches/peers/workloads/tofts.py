"""Extended Tofts model, 60 frames, simulated curves: solvers on concentrations; dcmri on signals.

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
N_CURVES = 20_480
N_TIMED = 400
N_TIMED_DCMRI = 60
N_JUDGED = 100
NOISE_MMOL_PER_L = 0.03
HEMATOCRIT = 0.45
VE = 0.25
VP = 0.02
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


def curves_of(transfers, blood, noise):
    """Concentrations, mM, shape [n_curves, n_frames]: exchange by the exact convolution."""
    minutes = inputs.FRAME_TIMES_S / 60
    rng = np.random.default_rng(5)
    curves = np.empty((len(transfers), len(minutes)))
    for row, transfer in enumerate(transfers):
        kept = own_exponential_convolution(VE / transfer, minutes, blood)
        curves[row] = VP * blood + VE * kept
    return curves + noise * rng.standard_normal(curves.shape)


def fits(convolution, curves, blood, **options):
    """Ktrans (1/min), kep (1/min) and vp of every curve by curve_fit."""
    minutes = inputs.FRAME_TIMES_S / 60

    def model(times, transfer, exchange, plasma):
        return plasma * blood + transfer / exchange * convolution(1 / exchange, times, blood)

    start = options.pop("p0", [0.1, 0.5, 0.02])
    return np.array([curve_fit(model, minutes, c, p0=start, **options)[0] for c in curves])


def signals_of(curves):
    """The curves as spoiled gradient echoes."""
    rates = 1 / inputs.T10_S + inputs.RELAXIVITY_PER_S_PER_MM * curves
    return 20 * inputs.AMPLITUDE * inputs.spoiled(rates)


def fits_of_dcmri(curves, blood):
    """Ktrans (1/min) of every curve by dcmri's tissue, whose samples are signals: its high-flow
    kinetics without restricted water exchange are the extended Tofts model."""
    import dcmri

    found = []
    for signal in signals_of(curves):
        tissue = dcmri.Tissue(
            kinetics="HF", water_exchange="FF", sequence="SS",
            ca=1e-3 * (1 - HEMATOCRIT) * blood, H=HEMATOCRIT, t=inputs.FRAME_TIMES_S,
            r1=1e3 * inputs.RELAXIVITY_PER_S_PER_MM, R10=1 / inputs.T10_S,
            TR=inputs.REPETITION_TIME_S, FA=inputs.FLIP_ANGLE_DEG, n0=5)
        tissue.train(inputs.FRAME_TIMES_S, signal)
        found.append(60 * tissue.PS)
    return np.array(found)


def peers_of(bench, curves, blood):
    """For each peer that can be had: name, function that fits its part, number of curves of it."""
    peers = [(
        "numpy exponential convolution + curve_fit",
        lambda: fits(own_exponential_convolution, curves[:N_TIMED], blood), N_TIMED,
    )]
    sydney = collection(bench)
    if sydney is not None:
        name = "OSIPI ST_USyd + curve_fit"
        peers.append((name, lambda: fits(sydney, curves[:N_TIMED], blood), N_TIMED))
    bench.skipped("OSIPI's package on PyPI", "0.1.2 holds arterial inputs alone, no tissue model")
    peers.append(("dcmri Tissue", lambda: fits_of_dcmri(curves[:N_TIMED_DCMRI], blood),
                  N_TIMED_DCMRI))
    return peers


def largest(values, expected):
    return f"max {np.max(np.abs(np.asarray(values) / expected - 1)):.0e}"


def accuracies(values, curves, blood):
    """Ours and the peers' largest relative distances of Ktrans: of curves with noise from the optimum
    that curve_fit finds at its tightest tolerances, where it lies inside our bounds; of dcmri without
    noise from the truth."""
    judged = curves[:N_JUDGED]
    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "maxfev": 10_000}
    loose = fits(own_exponential_convolution, judged, blood)
    optimum = np.array([
        fits(own_exponential_convolution, [curve], blood, p0=start, **tight)[0]
        for curve, start in zip(judged, loose)
    ])
    transfer, exchange, plasma = optimum.T
    inside = (plasma > 0) & (transfer < exchange) & (exchange > 0.01) & (exchange < 20)
    few = np.linspace(0.06, 0.4, 5)
    exact = fits_of_dcmri(curves_of(few, blood, 0.0), blood)
    return largest(values[:N_JUDGED][inside], transfer[inside]), {
        "numpy exponential convolution + curve_fit": largest(loose[inside, 0], transfer[inside]),
        "dcmri Tissue": f"{largest(exact, few)} without noise",
    }


def measure(bench):
    rng = np.random.default_rng(5)
    blood = artery()
    curves = curves_of(rng.uniform(0.05, 0.4, N_CURVES), blood, NOISE_MMOL_PER_L)
    curves.astype("<f8").tofile(bench.inputs / "tofts.samples")
    blood.astype("<f8").tofile(bench.inputs / "tofts.plasma")
    kernels = bench.kernels()
    peers = peers_of(bench, curves, blood)
    costs = {name: cpu_of(function, n) for name, function, n in peers}
    found = interleave({**costs, "ours": kernels.cost("extended_tofts")}, bench.rounds)
    # The kernel counts in seconds.
    values = 60 * np.array(kernels.values("extended_tofts"))
    kernels.close()
    own, of_peers = accuracies(values, curves, blood)
    return [
        Row(
            workload="extended Tofts",
            peer=name,
            item="fit",
            peer_cost_s=found[name],
            our_cost_s=found["ours"],
            ours="packed concentrations, with standard errors and bounds",
            peer_accuracy=of_peers.get(name, ""),
            our_accuracy=own,
            note=f"peer on {n} curves, ours on {N_CURVES}"
            + ("; peer fits signals" if name.startswith("dcmri") else ""),
        )
        for name, _, n in peers
    ]
