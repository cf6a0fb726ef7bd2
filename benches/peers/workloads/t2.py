"""Transverse relaxation, 384×384×27 × 6 echoes: kernels, one thread each."""

import numpy as np

import inputs
from workloads.decay import Decay

INPUTS = ["t2"]
N_DOSMA = 2000


def dosma_rates(samples, start):
    """Rates by DOSMA's MonoExponentialFit, its rounding switched off; times in ms as it expects."""
    from dosma.core.fitting import MonoExponentialFit
    from dosma.core.med_volume import MedicalVolume

    volumes = [MedicalVolume(column.reshape(-1, 1, 1), np.eye(4)) for column in samples.T]
    fit = MonoExponentialFit(
        bounds=(0, 1e6), tc0=start, r2_threshold=0, decimal_precision=None
    )
    times, _ = fit.fit(1000 * inputs.ECHO_TIMES_S, volumes)
    return 1000 / np.asarray(times.volume).ravel()


def measure(bench):
    workload = Decay(bench, "t2", inputs.ECHO_TIMES_S, "mask", lambda t2_s: 1 / t2_s)
    workload.add_standard()
    for start, name in [("polyfit", "DOSMA, start polyfit"), (30.0, "DOSMA, start 30 ms")]:
        try:
            workload.add(name, lambda s, start=start: dosma_rates(s, start), N_DOSMA)
        except ImportError as error:
            bench.skipped(name, error)
    return workload.rows()
