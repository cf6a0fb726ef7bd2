"""Writes reports/validation/performance.md from the results of the workloads."""

import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess

import environment
from run import WORKLOADS
from targets import TARGETS

PAGE = environment.PACKAGE / "reports" / "validation" / "performance.md"
PACKAGES = ["scipy", "numpy", "nibabel", "dosma", "scikit-learn", "pyradiomics"]

NEVER_MEASURED = {
    "Cpufit": "not on PyPI, not in Debian; its models lack a single exponential",
    "OSIPI LEK, dcmri": "no row of its own yet, and none for the fit of the program",
}

INTRODUCTION = """# Performance beside other programs

Written by `make peers` (benches/peers): other programs and ours on the same files in one run, in
turn, round after round. Costs are CPU time (user and system) per item; a ratio is the peer's cost
over ours, median over the rounds (smallest–largest). Kernels and libraries have one thread each;
whole processes have as many as they like. Slow peers are timed on the stated part of the voxels.
Inputs come from fixed seeds: tissue at a signal-to-noise ratio of 50, 70 % of the image air. As a
whole process ours writes every map (estimates, standard errors, R², status), gzipped, or one map as
the peer does where the row says so.

Accuracy stands beside time, because fast methods may solve an easier problem: the relative
difference of the rate (R2, ADC) from the least-squares optimum of the same voxels, which scipy finds
at its tightest tolerances and Newton steps polish.
"""


def write(folder, program):
    """Writes the page from all results in `folder`."""
    results = {}
    for name in WORKLOADS:
        path = folder / "results" / f"{name}.json"
        if path.exists():
            results[name] = json.loads(path.read_text())
    rows = [row for result in results.values() for row in result["rows"]]
    absent = [entry for result in results.values() for entry in result["absent"]]
    parts = [INTRODUCTION, machine(results), versions(program), costs(rows), limits(rows)]
    parts.append(memory(rows))
    parts += [targets(rows), absences(absent)]
    PAGE.write_text("\n".join(part for part in parts if part))
    print(f"wrote {PAGE.relative_to(environment.PACKAGE)}")


def table(header, lines):
    rule = ["---"] * len(header)
    return "".join("| " + " | ".join(cells) + " |\n" for cells in [header, rule, *lines])


def machine(results):
    cpu = platform.processor() or platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if not results:
        return "## Machine\n\nNot measured yet.\n"
    loads = [result["load_before"] for result in results.values()]
    rounds = sorted({result["rounds"] for result in results.values()})
    seconds = sum(result["seconds"] for result in results.values())
    return (
        "## Machine\n\n"
        f"{os.cpu_count()} cores, {cpu}, {total / 2**30:.0f} GiB. "
        f"Rounds: {', '.join(map(str, rounds))}. All workloads: {seconds / 60:.0f} min. "
        f"Load average before a workload: {min(loads):.1f}–{max(loads):.1f} "
        "(the workload before it counts; on a quiet machine it stays near 1).\n"
    )


def first_line(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.splitlines()[0].strip() if done.stdout else "?"


def versions(program):
    found = [first_line([program, "--version"]), first_line(["rustc", "--version"])]
    found.append(f"Python {platform.python_version()}")
    found += [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    if shutil.which("dwi2adc"):
        words = first_line(["dwi2adc", "-version"]).strip("= ").split()
        found.append("MRtrix3 " + next((word for word in words if word[0].isdigit()), "?"))
    lock = (environment.HERE.parent / "general_solver" / "Cargo.lock").read_text()
    solver = lock.split('name = "levenberg-marquardt"\nversion = "')[1].split('"')[0]
    found.append(f"levenberg-marquardt {solver}")
    return "## Versions\n\n" + ", ".join(found) + ".\n"


def duration(seconds):
    for unit, size in [("s", 1), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)]:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.2g} ns"


def costs(rows):
    lines = []
    if not rows:
        return ""
    for row in rows:
        if not row["peer_cost_s"] or row["workload"] == "limits":
            continue
        ours, ratio = "–", "–"
        if row["our_cost_s"]:
            ours = duration(statistics.median(row["our_cost_s"]))
            ratios = [p / o for p, o in zip(row["peer_cost_s"], row["our_cost_s"])]
            low, high = min(ratios), max(ratios)
            ratio = f"**{statistics.median(ratios):.3g}** ({low:.3g}–{high:.3g})"
        peer = duration(statistics.median(row["peer_cost_s"]))
        cells = [row["workload"], row["peer"], f"{peer} / {row['item']}", row["ours"], ours, ratio]
        lines.append([*cells, row["peer_accuracy"], row["our_accuracy"], row["note"]])
    header = ["workload", "peer", "peer's cost", "ours", "our cost", "ratio"]
    header += ["peer's accuracy", "our accuracy", "note"]
    return "## Costs\n\n" + table(header, lines)


# What the machine of the targets does, 10⁹ per second and core; its scalar peers, µs per fit.
TARGET_MACHINE = {"fused_double": 64.0, "memory": 37.0}
TARGET_YARDSTICK_US = 1.21

LIMITS = """## Limits

Targets are ratios to scalar programs, found on a machine whose vector units do two 512-bit fused
multiply-adds per cycle. Where vectors or memory are slower relative to scalar code, every ratio of a
vectorised kernel shrinks alike; a kernel cannot be cheaper than its arithmetic with everything in the
caches, nor than its loads and stores alone.

"""


def limits(rows):
    """Rows of the machine's own limits, beside those of the machine of the targets."""
    found = {row["figures"]["limit"]: row for row in rows if row["workload"] == "limits"}
    lines = []
    for name, row in found.items():
        cost = statistics.median(row["peer_cost_s"])
        here = duration(cost) + f" / {row['item']}"
        if name in ("fused_double", "fused_single", "memory"):
            unit = "GB/s" if name == "memory" else "10⁹ lanes/s"
            here = f"{1e-9 / cost:.3g} {unit}"
        target = TARGET_MACHINE.get(name)
        lines.append([row["peer"], here, f"{target:g}" if target else ""])
    yardstick = [row for row in rows if row["peer"] == "levenberg-marquardt crate"]
    if not found or not yardstick:
        return ""
    cost = 1e6 * statistics.median(yardstick[0]["peer_cost_s"])
    name = "scalar yardstick: levenberg-marquardt crate"
    lines.append([name, f"{cost:.3g} µs / fit", f"{TARGET_YARDSTICK_US:g}"])
    wide = TARGET_MACHINE["fused_double"] * 1e9 * statistics.median(
        found["fused_double"]["peer_cost_s"]
    )
    scalar = cost / TARGET_YARDSTICK_US
    text = (
        f"\nVectors are {wide:.2f} times and scalar code {scalar:.2f} times slower than there: a ratio of "
        f"100 in arithmetic there is {100 * scalar / wide:.0f} here.\n"
    )
    return LIMITS + table(["limit", "here", "machine of the targets"], lines) + text


def memory(rows):
    lines = []
    for row in rows:
        figures = row["figures"]
        if "peak_bytes" not in figures:
            continue
        peak, size = figures["peak_bytes"], figures["series_bytes"]
        peer = figures.get("peer_peak_bytes")
        theirs = f"{row['peer']}: {peer / 2**20:.0f} MiB" if peer else ""
        cells = [row["workload"].removeprefix("peak memory, "), f"{size / 2**20:.0f} MiB"]
        lines.append([*cells, f"{peak / 2**20:.0f} MiB", f"{peak / size:.2f}", theirs])
    if not lines:
        return ""
    header = ["series", "plain size", "our peak", "peak / size", "peer's peak"]
    return "## Peak memory\n\nWhole process, all voxels, every map.\n\n" + table(header, lines)


def targets(rows):
    lines = []
    for target in TARGETS:
        found = target.measured(rows)
        value, verdict = "–", "not measured"
        if found:
            value, verdict = found[0], "met" if found[1] else "**not met**"
        lines.append([target.text(), value, verdict])
    met = sum(line[2] == "met" for line in lines)
    missed = sum(line[2] == "**not met**" for line in lines)
    text = f"{met} met, {missed} not met, {len(lines) - met - missed} not measured.\n\n"
    return "## Targets\n\n" + text + table(["target", "measured", "verdict"], lines)


def absences(absent):
    reasons = {entry["peer"]: entry["reason"] for entry in absent}
    reasons |= NEVER_MEASURED
    lines = [f"- {peer}: {reason}\n" for peer, reason in sorted(reasons.items())]
    return "## Not measured\n\n" + "".join(lines)
