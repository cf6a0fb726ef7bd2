"""What the program is meant to reach, and whether the rows show it."""

import statistics
from dataclasses import dataclass


@dataclass
class AtLeast:
    """Times cheaper than a peer."""

    goal: float
    workload: str
    peer: str
    ours: str = ""

    def text(self):
        ours = f", {self.ours}" if self.ours else ""
        return f"{self.workload}{ours}: ≥ {self.goal:g} × {self.peer}"

    def measured(self, rows):
        for row in rows:
            same = row["workload"] == self.workload and row["peer"].startswith(self.peer)
            if same and row["our_cost_s"] and row["ours"].startswith(self.ours):
                pairs = zip(row["peer_cost_s"], row["our_cost_s"])
                ratio = statistics.median(peer / ours for peer, ours in pairs)
                return f"{ratio:.3g} ×", ratio >= self.goal
        return None


@dataclass
class FigureAtMost:
    """A figure of all rows of some workloads stays below a bound."""

    description: str
    goal: float
    workloads: list
    figure: str

    def text(self):
        return f"{self.description}: ≤ {self.goal:g}"

    def measured(self, rows):
        found = [
            row["figures"][self.figure]
            for row in rows
            if row["workload"] in self.workloads and self.figure in row["figures"]
        ]
        return (f"{max(found):.3g}", max(found) <= self.goal) if found else None


@dataclass
class CostAtMost:
    """Nanoseconds of our CPU time per item."""

    goal_ns: float
    workload: str

    def text(self):
        return f"{self.workload}: ≤ {self.goal_ns:g} ns each"

    def measured(self, rows):
        for row in rows:
            if row["workload"] == self.workload:
                cost = 1e9 * statistics.median(row["our_cost_s"])
                return f"{cost:.3g} ns", cost <= self.goal_ns
        return None


@dataclass
class SameBits:
    """The result does not depend on the number of threads."""

    workload: str

    def text(self):
        return f"{self.workload}: same bits for 1 and 2 threads"

    def measured(self, rows):
        found = [row["figures"]["same_bits"] for row in rows if row["workload"] == self.workload]
        return ("yes" if all(found) else "no", all(found)) if found else None


REGISTRATION = "registration, B-spline 12 mm, 192 x 192 x 30"
VOLUME = {"t2": "from 4-D volume and mask", "adc": "from 4-D volume and region"}
SPEED = [
    AtLeast(goal, name, peer, ours)
    for name in ["t2", "adc"]
    for ours, goals in [
        (
            VOLUME[name],
            {"scipy curve_fit": 6500, "DOSMA, start polyfit": 8000, "levenberg-marquardt": 100,
             "Cpufit": 55},
        ),
        (
            "packed voxels",
            {"scipy curve_fit": 9500, "DOSMA, start polyfit": 13_000, "levenberg-marquardt": 145,
             "Cpufit": 75},
        ),
    ]
    for peer, goal in goals.items()
    if not (name == "adc" and peer.startswith("DOSMA"))
]
TARGETS = [
    FigureAtMost(
        "t2 and adc: largest relative distance of a rate from the optimum, 2000 voxels each",
        1e-6,
        ["t2", "adc"],
        "our_max",
    ),
    *SPEED,
    AtLeast(3.5, "adc whole process, adc.nii", "MRtrix3 dwi2adc"),
    AtLeast(5.5, "adc whole process, adc.nii.gz", "MRtrix3 dwi2adc"),
    AtLeast(5, "t2 whole process, t2.nii", "nibabel + numpy", "all voxels"),
    AtLeast(600, "t2 whole process, t2.nii.gz", "DOSMA", "mask"),
    AtLeast(60, "iauc60", "numpy, 60 frames", "from 4-D volume"),
    AtLeast(20, "iauc60", "numpy, 18 frames", "from 4-D volume"),
    AtLeast(4000, "extended Tofts", "OSIPI ST_USyd"),
    AtLeast(2800, "extended Tofts", "OSIPI LEK"),
    AtLeast(20_000, "extended Tofts", "dcmri"),
    AtLeast(10_000, "pseudo-experiments, gaussian noise", "scipy curve_fit"),
    AtLeast(150, "pseudo-experiments, gaussian noise", "levenberg-marquardt"),
    CostAtMost(8, "pseudo-experiments, gaussian noise"),
    SameBits("pseudo-experiments, gaussian noise"),
    SameBits("pseudo-experiments, rician noise"),
    AtLeast(11, "k-means, 2 variables, 1e6 samples", "scikit-learn"),
    AtLeast(60, "first-order features, 1e6 values", "pyradiomics"),
    AtLeast(18, "first-order features, 1e6 values", "numpy"),
    AtLeast(12, REGISTRATION, "elastix"),
    FigureAtMost("registration: Dice below that of elastix", 0.0, [REGISTRATION], "dice_deficit"),
    FigureAtMost("registration: P95 error over that of elastix", 1.0, [REGISTRATION], "error_ratio"),
    FigureAtMost("registration: folded voxels", 0, [REGISTRATION], "n_folded"),
    AtLeast(12, "signed distance, 384×384×160", "edt"),
    AtLeast(9.5, "signed distance, 384×384×160", "ITK"),
    AtLeast(200, "largest balls, 384×384×160", "localthickness"),
    AtLeast(4.5, "largest balls, 384×384×160", "porespy"),
    AtLeast(1.5, "inflate", "zlib-rs", "libdeflate"),
    AtLeast(6, "deflate, full map", "libdeflate level 1"),
    FigureAtMost(
        "deflate, full map: size against libdeflate level 1",
        1.01,
        ["deflate, full map"],
        "size_ratio",
    ),
    FigureAtMost(
        "deflate, map of 10 %: size against libdeflate level 1",
        1.12,
        ["deflate, map of 10 %"],
        "size_ratio",
    ),
]
