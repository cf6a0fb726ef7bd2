"""The throw-away environment: peers from PyPI and Debian, our program and its kernels from cargo."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent


def python_of(folder):
    return folder / "venv" / "bin" / "python"


def install_peers(folder):
    """Makes `folder/venv` once; MRtrix3 comes from the system, and is installed only as root."""
    stamp = folder / "venv" / "requirements.txt"
    wanted = (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        pip = [python_of(folder), "-m", "pip", "install", "--quiet"]
        # pyradiomics imports numpy while it is built.
        subprocess.run(
            [*pip, "numpy<2", "setuptools<81", "wheel", "versioneer", "cython"], check=True
        )
        requirements = ["--requirement", HERE / "requirements.txt"]
        subprocess.run([*pip, "--no-build-isolation", *requirements], check=True)
        stamp.write_text(wanted)
    if shutil.which("dwi2adc") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "mrtrix3"], check=False)


def build():
    """Builds the program, its kernels and the yardstick as they are released; gives their paths."""
    cargo = ["--message-format=json-render-diagnostics"]
    yardstick = ["--manifest-path", PACKAGE / "benches" / "general_solver" / "Cargo.toml"]
    yardstick += ["--target-dir", PACKAGE / "target"]
    commands = {
        "biomarker": ["cargo", "build", "--release", *cargo],
        "kernel_times": ["cargo", "bench", "--bench", "kernel_times", "--no-run", *cargo],
        "general_solver": ["cargo", "build", "--release", *yardstick, *cargo],
    }
    return {name: executable(command, name) for name, command in commands.items()}


def executable(command, name):
    built = subprocess.run(command, cwd=PACKAGE, check=True, stdout=subprocess.PIPE, text=True)
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == name and message.get("executable"):
            return pathlib.Path(message["executable"])
    raise SystemExit(f"cargo built no {name}")
