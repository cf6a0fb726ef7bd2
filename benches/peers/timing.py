"""Costs: CPU time of functions, of whole processes, and of our kernels, in interleaved rounds."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field

HERE = pathlib.Path(__file__).resolve().parent


@dataclass
class Row:
    """One line of the table; costs are seconds of CPU time per item, one per round."""

    workload: str
    peer: str
    item: str
    peer_cost_s: list
    our_cost_s: list | None
    ours: str = ""
    peer_accuracy: str = ""
    our_accuracy: str = ""
    note: str = ""
    figures: dict = field(default_factory=dict)

    def ratios(self):
        if not self.our_cost_s:
            return []
        return [peer / ours for peer, ours in zip(self.peer_cost_s, self.our_cost_s)]

    def as_json(self):
        return asdict(self)


def cpu_of(function, n_items):
    """A function that runs `function` and gives its CPU time per item."""

    def cost():
        start = time.process_time()
        function()
        return (time.process_time() - start) / n_items

    return cost


def interleave(costs, rounds):
    """Calls every cost in turn, `rounds` times after one that is not counted."""
    found = {name: [] for name in costs}
    for _ in range(rounds + 1):
        for name, cost in costs.items():
            found[name].append(cost())
    return {name: counted[1:] for name, counted in found.items()}


class Kernels:
    """A program that runs kernels on request, with one thread unless told otherwise."""

    def __init__(self, command, n_threads=1):
        environment = {**os.environ, "RAYON_NUM_THREADS": str(n_threads)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(list(map(str, command)), env=environment, **pipes)
        # Linux: the CPU-time clock of another process, all its threads, in nanoseconds.
        self.clock = (~self.process.pid << 3) | 2

    def ask(self, verb, workload=""):
        self.process.stdin.write(f"{verb} {workload}".strip() + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{verb} {workload}: {answer['error']}")
        return answer

    def cost(self, workload=""):
        """A function that runs the workload once and gives its CPU time per item."""
        self.ask("load", workload)

        def cost():
            start_s = time.clock_gettime(self.clock)
            n_items = self.ask("run", workload)["items"]
            return (time.clock_gettime(self.clock) - start_s) / n_items

        return cost

    def values(self, workload=""):
        return self.ask("values", workload)["values"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run_process(command, environment=None):
    """Runs `command`; gives CPU time (user + system), wall time and peak memory.

    A small process of its own starts it, because peak memory counts that of the one before exec.
    """
    environment = {**os.environ, **(environment or {})}
    starter = [sys.executable, "-S", HERE / "child.py", *map(str, command)]
    done = subprocess.run(starter, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed")
    return json.loads(done.stdout)


def summary(values):
    """Median and range."""
    return statistics.median(values), min(values), max(values)
