"""Peak memory of whole processes beside the size of what they read."""

import sys

import environment
import inputs
from timing import Row, run_process
from workloads import adc_process, t2_process

INPUTS = ["t2", "adc", "dce"]


def iauc(bench):
    """Our command on the whole dynamic series."""
    folder = bench.inputs
    command = [bench.programs["biomarker"], "map", "iauc60", folder / "dce.nii", "--quiet"]
    command += ["--frame-times-s", folder / "frame_times_s.txt"]
    command += ["--flip-angles-deg", f"{inputs.FLIP_ANGLE_DEG:g}"]
    command += ["--repetition-time-ms", f"{1000 * inputs.REPETITION_TIME_S:g}"]
    command += ["--t10-ms", f"{1000 * inputs.T10_S:g}", "--arrival-s", f"{inputs.ARRIVAL_S:g}"]
    return [*command, "--output", bench.folder / "maps" / "iauc"]


def measure(bench):
    times = [f"{time:g}" for time in inputs.ECHO_TIMES_S]
    script = environment.HERE / "weighted_log_linear.py"
    output = bench.folder / "maps" / "peer_memory.nii"
    output.parent.mkdir(exist_ok=True)
    theirs = [sys.executable, script, bench.inputs / "t2.nii", output, *times]
    ours = {
        "t2.nii": t2_process.ours(bench, "t2.nii")[0],
        "t2.nii.gz": t2_process.ours(bench, "t2.nii.gz")[0],
        "adc.nii": adc_process.ours(bench, "adc.nii")[0],
        "dce.nii": iauc(bench),
    }
    rows = []
    for series, command in ours.items():
        plain = (bench.inputs / series.removesuffix(".gz")).stat().st_size
        peak = run_process(command)["peak_bytes"]
        figures = {"peak_bytes": peak, "series_bytes": plain}
        peer = ""
        if series == "t2.nii":
            figures["peer_peak_bytes"] = run_process(theirs)["peak_bytes"]
            peer = "nibabel + numpy weighted log-linear"
        rows.append(
            Row(
                workload=f"peak memory, {series}",
                peer=peer,
                item="run",
                peer_cost_s=[],
                our_cost_s=None,
                ours="all voxels, every map",
                figures=figures,
            )
        )
    return rows
