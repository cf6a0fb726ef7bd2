"""Diffusion as whole processes, all voxels: read, fit, write."""

import shutil

import nibabel
import numpy as np

import accuracy
import inputs
from timing import Row, interleave, run_process
from workloads.decay import N_ACCURACY
from workloads.t2_process import find_map

INPUTS = ["adc"]
SERIES = ["adc.nii", "adc.nii.gz"]
PEER = "MRtrix3 dwi2adc (log-linear), 1 map"


def ours(bench, series):
    output = bench.folder / "maps" / f"adc_{series}"
    command = [bench.programs["biomarker"], "map", "adc", bench.inputs / series, "--quiet"]
    command += ["--bval", bench.inputs / "adc.bval", "--output", output, "--maps", "adc"]
    if not series.endswith(".gz"):
        command.append("--uncompressed")
    return command, output


def theirs(bench, series):
    output = bench.folder / "maps" / f"peer_{series}"
    output.parent.mkdir(exist_ok=True)
    folder = bench.inputs
    command = ["dwi2adc", folder / series, output, "-quiet", "-force", "-nthreads", "2"]
    return command + ["-fslgrad", folder / "adc.bvec", folder / "adc.bval"], output


def measure(bench):
    if shutil.which("dwi2adc") is None:
        bench.skipped("MRtrix3 dwi2adc", "not installed")
        return []
    runs = {}

    def cost(key, command):
        def run():
            runs.setdefault(key, []).append(run_process(command))
            return runs[key][-1]["cpu_s"]

        return run

    kernels = bench.kernels()
    costs = {}
    for series in SERIES:
        floor = "io_floor_gzip" if series.endswith(".gz") else "io_floor"
        costs["floor", series] = kernels.cost(floor)
        costs["peer", series] = cost(("peer", series), theirs(bench, series)[0])
        costs["ours", series] = cost(("ours", series), ours(bench, series)[0])
    found = interleave(costs, bench.rounds)
    kernels.close()

    region = bench.inputs / "adc_region.nii"
    samples = inputs.voxels(bench.inputs / "adc.nii", region)
    places = inputs.spread(len(samples), N_ACCURACY)
    optimum = accuracy.optimal_rates(inputs.B_VALUES_S_PER_MM2, samples[places])
    inside = np.asanyarray(nibabel.load(region).dataobj).ravel(order="F") > 0

    def judged(path):
        image = np.asanyarray(nibabel.load(path).dataobj)
        image = image[..., 1] if image.ndim == 4 else image
        return accuracy.distance(image.ravel(order="F")[inside][places], optimum)[0]

    def wall(key):
        return np.median([run["wall_s"] for run in runs[key]])

    return [
        Row(
            workload=f"adc whole process, {series}",
            peer=PEER,
            item="run",
            peer_cost_s=found["peer", series],
            our_cost_s=found["ours", series],
            ours="all voxels, 1 map",
            peer_accuracy=judged(theirs(bench, "adc.nii")[1]),
            our_accuracy=judged(find_map(ours(bench, "adc.nii")[1], "desc-adc_ADC.nii")),
            note="wall {:.2f} s and {:.2f} s".format(wall(("peer", series)), wall(("ours", series))),
        )
        for series in SERIES
    ] + [
        Row(
            workload=f"adc whole process, {series}",
            peer=PEER,
            item="run",
            peer_cost_s=found["peer", series],
            our_cost_s=found["floor", series],
            ours="the same files read, decoded and written without any fit: the limit",
            note="one thread of a running process",
        )
        for series in SERIES
    ]
