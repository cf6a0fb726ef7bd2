"""Kernels of mono-exponential decays against voxel-by-voxel solvers; shared by t2 and adc."""

import numpy as np
from scipy.optimize import curve_fit

import accuracy
import inputs
from timing import Kernels, Row, cpu_of, interleave

N_ACCURACY = 2000
N_CURVE_FIT = 4000
N_YARDSTICK = 20_000
YARDSTICK = "levenberg-marquardt crate"
LIMIT = "ours without arithmetic: the same loads and stores"


def decay(x, amplitude, rate):
    return amplitude * np.exp(-rate * x)


def decay_jacobian(x, amplitude, rate):
    curve = np.exp(-rate * x)
    return np.stack([curve, -amplitude * x * curve], axis=1)


def curve_fit_loop(abscissae, samples, jacobian=None):
    """Rates by scipy's curve_fit, voxel after voxel, from the weighted straight line."""
    starts = np.stack(accuracy.weighted_log_linear(abscissae, samples), axis=1)
    rates = np.empty(len(samples))
    for voxel, (own, start) in enumerate(zip(samples, starts)):
        found, _ = curve_fit(decay, abscissae, own, p0=start, jac=jacobian)
        rates[voxel] = found[1]
    return rates


class Decay:
    """One decay workload: peers on stated subsamples of the mask, our kernels on all of it."""

    def __init__(self, bench, name, abscissae, region, to_rate):
        self.bench, self.name, self.abscissae = bench, name, abscissae
        self.region, self.to_rate = region, to_rate
        folder = bench.inputs
        self.samples = inputs.voxels(folder / f"{name}.nii", folder / f"{name}_{region}.nii")
        few = self.samples[inputs.spread(len(self.samples), N_ACCURACY)]
        self.few = few.astype(float)
        self.optimum = accuracy.optimal_rates(abscissae, self.few)
        self.peers = {}

    def add(self, name, rates_of, n_timed):
        """A peer: `rates_of(samples)` is timed on `n_timed` voxels and judged on 2000 others."""
        timed = self.samples[inputs.spread(len(self.samples), n_timed)].astype(float)
        judged = accuracy.distance(rates_of(self.few), self.optimum)
        self.peers[name] = (cpu_of(lambda: rates_of(timed), len(timed)), judged, len(timed))

    def add_standard(self):
        x = self.abscissae
        self.add("scipy curve_fit", lambda s: curve_fit_loop(x, s), N_CURVE_FIT)
        self.add(
            "scipy curve_fit, analytic Jacobian",
            lambda s: curve_fit_loop(x, s, decay_jacobian),
            N_CURVE_FIT,
        )
        self.add(
            "numpy weighted log-linear (not least squares of the signals)",
            lambda s: accuracy.weighted_log_linear(x, s)[1],
            len(self.samples),
        )

    def rows(self):
        kernels, solver = self.bench.kernels(), self.general_solver()
        ours = {
            f"from 4-D volume and {self.region}": f"{self.name}_{self.region}",
            "packed voxels": f"{self.name}_packed",
            "all voxels, air included": f"{self.name}_all",
        }
        costs = {name: peer[0] for name, peer in self.peers.items()}
        costs[YARDSTICK] = solver.cost()
        costs |= {name: kernels.cost(workload) for name, workload in ours.items()}
        costs[LIMIT] = kernels.cost(f"{self.name}_{self.region}_traffic")
        found = interleave(costs, self.bench.rounds)
        self.peers[YARDSTICK] = self.judged_yardstick(solver)
        own = {name: self.judged(kernels, workload) for name, workload in ours.items()}
        kernels.close()
        solver.close()
        volume = f"from 4-D volume and {self.region}"
        limit = Row(
            workload=self.name,
            peer=LIMIT,
            item="fit",
            peer_cost_s=found[LIMIT],
            our_cost_s=found[volume],
            ours=volume,
            note="the part of the cost that no arithmetic can take away",
        )
        return [
            Row(
                workload=self.name,
                peer=peer,
                item="fit",
                peer_cost_s=found[peer],
                our_cost_s=found[name],
                ours=name,
                peer_accuracy=judged[0],
                our_accuracy=own[name][0],
                note=f"peer on {n_timed} voxels",
                figures=own[name][1],
            )
            for name in ours
            for peer, (_, judged, n_timed) in self.peers.items()
        ] + [limit]

    def judged(self, kernels, workload):
        """Distance of our kernel from the optimum; of all voxels it reports others."""
        if workload.endswith("_all"):
            return "that of the region", {}
        values = np.array(kernels.values(workload))
        text, largest = accuracy.distance(self.to_rate(values), self.optimum)
        return text, {"our_max": largest}

    def general_solver(self):
        """The yardstick on 20 000 voxels, evenly spread."""
        places = inputs.spread(len(self.samples), N_YARDSTICK)
        path = self.bench.inputs / f"{self.name}.samples"
        self.samples[places].astype("<f8").tofile(path)
        abscissae = ",".join(map(str, self.abscissae))
        return Kernels([self.bench.programs["general_solver"], path, abscissae])

    def judged_yardstick(self, solver):
        rates = np.array(solver.values())
        # Every tenth of 20 000 evenly spread voxels is one of the 2000.
        few = rates[:: N_YARDSTICK // N_ACCURACY]
        return None, accuracy.distance(few, self.optimum), len(rates)
