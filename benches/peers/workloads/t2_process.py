"""Transverse relaxation as whole processes: read, fit, write."""

import sys

import nibabel
import numpy as np

import accuracy
import environment
import inputs
from timing import Row, cpu_of, interleave, run_process
from workloads.decay import N_ACCURACY
from workloads.t2 import N_DOSMA, dosma_rates

INPUTS = ["t2"]
SCRIPT = environment.HERE / "weighted_log_linear.py"


def ours(bench, series, mask=None):
    """Our command on `series`."""
    times = ",".join(f"{1000 * time:g}" for time in inputs.ECHO_TIMES_S)
    output = bench.folder / "maps" / f"t2_{series}_{'mask' if mask else 'all'}"
    command = [bench.programs["biomarker"], "map", "t2", bench.inputs / series, "--quiet"]
    command += ["--echo-times-ms", times, "--output", output]
    if mask:
        command += ["--mask", bench.inputs / mask]
    return command, output


def theirs(bench, series):
    output = bench.folder / "maps" / f"peer_t2_{series}"
    output.parent.mkdir(exist_ok=True)
    command = [sys.executable, SCRIPT, bench.inputs / series, output]
    return command + [f"{time:g}" for time in inputs.ECHO_TIMES_S], output


def map_rates(path, mask_path, count=N_ACCURACY):
    """1/map at the voxels that accuracy is judged on."""
    image = np.asanyarray(nibabel.load(path).dataobj).ravel(order="F")
    mask = np.asanyarray(nibabel.load(mask_path).dataobj).ravel(order="F") > 0
    values = image[mask]
    return 1 / values[inputs.spread(len(values), count)]


def find_map(folder, ending):
    return next(path for path in sorted(folder.glob("*.nii*")) if path.name.endswith(ending))


def measure(bench):
    def cost(command):
        return lambda: run_process(command)["cpu_s"]

    samples = inputs.voxels(bench.inputs / "t2.nii", bench.inputs / "t2_mask.nii")
    timed = samples[inputs.spread(len(samples), N_DOSMA)].astype(float)
    few = samples[inputs.spread(len(samples), N_ACCURACY)]
    optimum = accuracy.optimal_rates(inputs.ECHO_TIMES_S, few)
    log_linear = "nibabel + numpy weighted log-linear, 1 map"
    commands = {}
    for series in ["t2.nii", "t2.nii.gz"]:
        commands[log_linear, series], _ = theirs(bench, series)
        commands["all", series], _ = ours(bench, series)
        commands["mask", series], _ = ours(bench, series, "t2_mask.nii")
    costs = {name: cost(command) for name, command in commands.items()}
    try:
        dosma_rates(timed[:2], "polyfit")
        costs["DOSMA"] = cpu_of(lambda: dosma_rates(timed, "polyfit"), len(timed))
    except ImportError as error:
        bench.skipped("DOSMA", error)
    found = interleave(costs, bench.rounds)

    mask_path = bench.inputs / "t2_mask.nii"
    own = map_rates(find_map(ours(bench, "t2.nii")[1], "desc-t2_T2map.nii.gz"), mask_path)
    own = accuracy.distance(own, optimum)[0]
    peer = accuracy.distance(map_rates(theirs(bench, "t2.nii")[1], mask_path), optimum)[0]
    rows = []
    for series in ["t2.nii", "t2.nii.gz"]:
        for part in ["all", "mask"]:
            rows.append(
                Row(
                    workload=f"t2 whole process, {series}",
                    peer=log_linear,
                    item="run",
                    peer_cost_s=found[log_linear, series],
                    our_cost_s=found[part, series],
                    ours={"all": "all voxels, every map", "mask": "mask, every map"}[part],
                    peer_accuracy=peer,
                    our_accuracy=own,
                    note="peer fits all voxels",
                )
            )
    if "DOSMA" in found:
        rows.append(
            Row(
                workload="t2 whole process, t2.nii.gz",
                peer="DOSMA, start polyfit",
                item="run",
                peer_cost_s=[cost * len(samples) for cost in found["DOSMA"]],
                our_cost_s=found["mask", "t2.nii.gz"],
                ours="mask, every map",
                peer_accuracy=accuracy.distance(dosma_rates(few.astype(float), "polyfit"), optimum)[0],
                our_accuracy=own,
                note=f"peer's fit of {len(timed)} voxels times the voxels of the mask, no reading",
            )
        )
    return rows
