"""Diffusion, 256×256×40 × 4 b-values, region of 10 %: kernels, one thread each."""

import inputs
from workloads.decay import Decay

INPUTS = ["adc"]


def measure(bench):
    workload = Decay(bench, "adc", inputs.B_VALUES_S_PER_MM2, "region", lambda adc: adc)
    workload.add_standard()
    return workload.rows()
