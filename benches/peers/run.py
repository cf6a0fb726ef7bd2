"""Runs peers and our program side by side on the same files and prints their ratios.

    python3 benches/peers/run.py --folder FOLDER [--rounds N] [WORKLOAD ...]

See README.md beside this file.
"""

import argparse
import importlib
import json
import os
import pathlib
import subprocess
import sys
import time

import environment

WORKLOADS = [
    "t2",
    "adc",
    "t2_process",
    "adc_process",
    "iauc",
    "tofts",
    "pseudo_experiments",
    "k_means",
    "first_order",
    "distance_transform",
    "local_thickness",
    "gzip_files",
    "registration",
    "memory",
    "limits",
]


class Bench:
    """What a workload is given."""

    def __init__(self, folder, rounds, programs):
        self.folder, self.rounds, self.programs = folder, rounds, programs
        self.inputs = folder / "inputs"
        self.absent = []

    def kernels(self, n_threads=1):
        from timing import Kernels

        return Kernels([self.programs["kernel_times"], self.inputs], n_threads)

    def skipped(self, peer, reason):
        """Notes a peer that cannot be had."""
        print(f"  {peer}: not measured ({reason})", flush=True)
        self.absent.append({"peer": peer, "reason": str(reason)})


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="throw-away folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parsed = parser.parse_args()
    unknown = set(parsed.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    return parsed


def restart_among_peers(folder):
    """Installs the peers and runs this script again with their Python, one thread per library."""
    environment.install_peers(folder)
    programs = environment.build()
    single = {name: "1" for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]}
    inner = {"BIOMARKER_BENCH_PROGRAMS": json.dumps({k: str(v) for k, v in programs.items()})}
    command = [environment.python_of(folder), *sys.argv]
    return subprocess.run(command, env={**os.environ, **single, **inner}).returncode


def measure(bench, name):
    import inputs
    from timing import summary

    module = importlib.import_module(f"workloads.{name}")
    print(f"{name}", flush=True)
    inputs.make(bench.inputs, module.INPUTS)
    start, load = time.time(), os.getloadavg()[0]
    bench.absent = []
    rows = module.measure(bench)
    for row in rows:
        if not row.peer_cost_s:
            print(f"  {row.workload}: {row.figures}")
            continue
        ratios = row.ratios()
        text = "{:.4g}x ({:.4g}-{:.4g})".format(*summary(ratios)) if ratios else "-"
        print(f"  {row.peer} | {row.ours} | {text} | {row.peer_accuracy} | {row.our_accuracy}")
    found = {
        "rows": [row.as_json() for row in rows],
        "absent": bench.absent,
        "load_before": load,
        "seconds": round(time.time() - start),
        "rounds": bench.rounds,
    }
    (bench.folder / "results" / f"{name}.json").write_text(json.dumps(found, indent=1))
    print(f"  {found['seconds']} s", flush=True)


def main():
    options = arguments()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    programs = os.environ.get("BIOMARKER_BENCH_PROGRAMS")
    if programs is None:
        return restart_among_peers(folder)
    (folder / "results").mkdir(exist_ok=True)
    paths = {name: pathlib.Path(path) for name, path in json.loads(programs).items()}
    bench = Bench(folder, options.rounds, paths)
    for name in options.workloads or WORKLOADS:
        measure(bench, name)
    import report

    report.write(folder, paths["biomarker"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
