"""200 pseudo-experiments per voxel of the diffusion region: kernels, one thread each."""

import numpy as np

import accuracy
import inputs
from timing import Kernels, Row, cpu_of, interleave
from workloads.decay import YARDSTICK, curve_fit_loop

INPUTS = ["adc"]
REPLICATES = 200
N_TIMED_VOXELS = 20
N_JUDGED_VOXELS = 40
N_JUDGED_DRAWS = 250
TARGET_S = 1.0


def draws(rng, expected, n, noise):
    """`n` samples around every row of `expected`."""
    shape = (len(expected), n, expected.shape[1])
    real = expected[:, None, :] + inputs.SIGMA * rng.standard_normal(shape)
    if noise == "rician":
        real = np.hypot(real, inputs.SIGMA * rng.standard_normal(shape))
    return real.reshape(-1, expected.shape[1])


def n_voxels_for(kernels, kind):
    """Voxels whose pseudo-experiments take our kernel about a second."""
    cost = kernels.cost(f"{kind} 500")
    cost()
    return max(500, int(TARGET_S / (REPLICATES * cost())))


def relative_sds(bench, kernels, kind, size, noise):
    """Our SD over that of scipy's fits of its own draws, 40 voxels."""
    folder = bench.inputs
    region = inputs.voxels(folder / "adc.nii", folder / "adc_region.nii")
    own = np.array(kernels.values(f"{kind} {size}"))
    size = len(own)
    places = inputs.spread(len(region), size)
    few = inputs.spread(size, N_JUDGED_VOXELS)
    samples = region[places[few]].astype(float)
    x = inputs.B_VALUES_S_PER_MM2
    optimum = accuracy.optimal_rates(x, samples)
    curves = np.exp(-optimum[:, None] * x)
    amplitudes = (curves * samples).sum(axis=1) / (curves**2).sum(axis=1)
    rng = np.random.default_rng(6)
    drawn = draws(rng, amplitudes[:, None] * curves, N_JUDGED_DRAWS, noise)
    rates = curve_fit_loop(x, drawn).reshape(N_JUDGED_VOXELS, N_JUDGED_DRAWS)
    return own[few] / rates.std(axis=1, ddof=1)


def same_bits(bench, kind):
    """Whether one and two threads give the same SDs to the last bit."""
    found = []
    for n_threads in [1, 2]:
        kernels = bench.kernels(n_threads)
        kernels.ask("run", f"{kind} 2000")
        found.append(kernels.values(f"{kind} 2000"))
        kernels.close()
    return found[0] == found[1]


def general_solver(bench, drawn):
    """The yardstick on draws made beforehand."""
    path = bench.inputs / "draws.samples"
    drawn.astype("<f8").tofile(path)
    abscissae = ",".join(map(str, inputs.B_VALUES_S_PER_MM2))
    return Kernels([bench.programs["general_solver"], path, abscissae])


def rows_of(bench, expected, n_region, noise):
    """The rows of one kind of noise."""
    kind = f"pseudo_{noise}"
    kernels = bench.kernels()
    size = min(n_voxels_for(kernels, kind), n_region)
    rng = np.random.default_rng(7)
    solver = general_solver(bench, draws(rng, expected, REPLICATES, noise))
    n_draws = len(expected) * REPLICATES

    def peer():
        curve_fit_loop(inputs.B_VALUES_S_PER_MM2, draws(rng, expected, REPLICATES, noise))

    curve_fit_name = "scipy curve_fit per draw"
    costs = {
        curve_fit_name: cpu_of(peer, n_draws),
        YARDSTICK: solver.cost(),
        "ours": kernels.cost(f"{kind} {size}"),
    }
    found = interleave(costs, bench.rounds)
    ratios = relative_sds(bench, kernels, kind, size, noise)
    kernels.close()
    solver.close()
    identical = same_bits(bench, kind)
    text = "same bits for 1 and 2 threads" if identical else "bits depend on threads"
    mean, error = ratios.mean(), ratios.std(ddof=1) / len(ratios) ** 0.5
    return [
        Row(
            workload=f"pseudo-experiments, {noise} noise",
            peer=name,
            item="pseudo-experiment",
            peer_cost_s=found[name],
            our_cost_s=found["ours"],
            ours=f"{REPLICATES} per voxel, SD, bias and interval, {size} voxels",
            peer_accuracy="reference" if name == curve_fit_name else "draws not counted",
            our_accuracy=f"SD / SD of scipy's draws {mean:.3f} ± {error:.3f}",
            note=f"{text}; peer on {n_draws} draws",
            figures={"same_bits": identical},
        )
        for name in [curve_fit_name, YARDSTICK]
    ]


def measure(bench):
    folder = bench.inputs
    region = inputs.voxels(folder / "adc.nii", folder / "adc_region.nii")
    expected = region[inputs.spread(len(region), N_TIMED_VOXELS)].astype(float)
    kinds = ["gaussian", "rician"]
    return [row for noise in kinds for row in rows_of(bench, expected, len(region), noise)]
