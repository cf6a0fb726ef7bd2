"""Maps of `biomarker map` on real series against an independent least-squares optimum.

    cargo build
    python tests/it/golden/real_data_oracle.py --data ../shared/data \\
        --biomarker target/debug/biomarker --output reports/validation/real_data_optimum.md

Every real series is mapped by the program. Then the optimum of the same model is found anew in
randomly drawn voxels, bright, dim and the darkest that are not empty, without any mask:
`scipy.optimize.least_squares` (method `lm`, 64-bit, xtol = ftol = gtol = 1e-15, analytic Jacobian)
from seventeen starts, beside a dense scan of the rate with the amplitude solved for, which also finds
optima at the bounds. Two things are asked of every voxel: where scipy's optimum lies inside the
bounds, the written estimate is scipy's; everywhere, the residual sum of squares at the written
estimates is not above scipy's by more than the rounding of the maps to single precision. Voxels that
the program says hold no signal must have no better fit than the amplitude 0.

Areas under the concentration curve have no optimum: they are computed again in numpy, in all voxels.

Needs numpy, scipy and nibabel.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import warnings

import nibabel
import numpy as np
import scipy
from scipy.optimize import least_squares

N_VOXELS = 400
N_STARTS = 16
BOUNDS = {"adc": (-0.5e-3, 6e-3), "t2": (1.0 / 3.0, 1000.0), "t1_vfa": (0.1, 1e3)}
RATE_FLOOR = {"adc": 1e-9, "t2": 1e-6, "t1_vfa": 1e-6}
LIMIT = 1e-5


def series_list(data):
    calf = data / "dwi/qmritools_calf/DTIdata.nii.gz"
    knee = data / "t2/knee_mese"
    breast = data / "dce/breast_dcemrijl"
    phantom = data / "dce/vfa_phantom_dcemriS4"
    echoes = np.loadtxt(knee / "echo_times_ms.txt")[:6]
    diffusion = [
        ("prostate DWI, b 50/400/800", data / "dwi/prostatex/px0000/px0000_dwi.nii.gz"),
        ("calf DWI, 42 volumes", calf),
        ("brain DWI, MRtrix dwi2adc", data / "dwi/mrtrix/nifti/dwi2adc_in.nii.gz"),
        ("brain DWI, MRtrix dwi, 68 volumes", data / "dwi/mrtrix/nifti/dwi.nii.gz"),
        ("brain DWI, DIPY small_25", data / "dwi/dipy/small_25.nii.gz"),
        ("brain DWI, DIPY small_64D", data / "dwi/dipy/small_64D.nii"),
        ("brain DWI, DIPY small_101D", data / "dwi/dipy/small_101D.nii.gz"),
    ]
    for name, path in diffusion:
        stem = str(path).removesuffix(".gz").removesuffix(".nii")
        yield name, "adc", [path], np.loadtxt(stem + ".bval").ravel(), []
    flags = ["--echo-times-ms", ",".join(f"{t:g}" for t in echoes)]
    path = knee / "knee_mese_6echo_slices4-9.nii.gz"
    yield "knee MESE, 6 echoes", "t2", [path], echoes / 1e3, flags
    flips = np.loadtxt(breast / "vfa_flip_deg.txt").ravel()
    tr_ms = json.loads((breast / "protocol.json").read_text())["TR_ms"]
    flags = ["--flip-angles-deg", ",".join(f"{f:g}" for f in flips)]
    flags += ["--repetition-time-ms", f"{tr_ms:g}"]
    x = (np.radians(flips), tr_ms / 1e3)
    yield "breast VFA, 10 flip angles", "t1_vfa", [breast / "vfa_10.nii.gz"], x, flags
    flips = np.array([5.0, 10, 15, 20, 25])
    paths = [phantom / f"fl3d_vibe-{f:g}deg.nii.gz" for f in flips]
    flags = ["--flip-angles-deg", ",".join(f"{f:g}" for f in flips), "--repetition-time-ms", "4.22"]
    x = (np.radians(flips), 4.22e-3)
    yield "phantom VFA, 5 files", "t1_vfa", paths, x, flags


def basis(model, x, rate):
    """Signal at unit amplitude and its derivative by the rate; `rate` broadcasts."""
    rate = np.asarray(rate, float)[..., None]
    if model == "t1_vfa":
        angle, tr = x
        recovered = -np.expm1(-tr * rate)
        versine = 2 * np.sin(angle / 2) ** 2
        denominator = versine + np.cos(angle) * recovered
        f = np.sin(angle) * recovered / denominator
        return f, np.sin(angle) * versine / denominator**2 * tr * (1 - recovered)
    f = np.exp(-x * rate)
    return f, -x * f


def profile(model, x, samples, rates):
    """Residual sum of squares with the amplitude solved for, kept at or above 0."""
    f, _ = basis(model, x, rates)
    amplitude = np.maximum((f @ samples) / np.sum(f * f, axis=-1), 0)
    residual = samples - amplitude[..., None] * f
    return np.sum(residual**2, axis=-1), amplitude


def scan(model, x, samples):
    """Best rate within the bounds by scan and golden section of the profile."""
    low, high = BOUNDS[model]
    rates = np.linspace(low, high, 4001) if low < 0 else np.geomspace(low, high, 4001)
    rss, _ = profile(model, x, samples, rates)
    best = int(np.argmin(rss))
    left, right = rates[max(best - 1, 0)], rates[min(best + 1, len(rates) - 1)]
    for _ in range(60):
        trial = np.linspace(left, right, 5)
        rss, _ = profile(model, x, samples, trial)
        best = int(np.argmin(rss))
        left, right = trial[max(best - 1, 0)], trial[min(best + 1, 4)]
    rate = trial[best]
    rss, amplitude = profile(model, x, samples, np.array([rate]))
    return rate, float(amplitude[0]), float(rss[0])


def optimum(model, x, samples):
    """The best of many Levenberg–Marquardt runs and the scan: rate, amplitude, RSS, inside."""
    low, high = BOUNDS[model]
    unit_rate = 1e-3 if model == "adc" else 1.0
    unit = np.max(np.abs(samples)) or 1.0

    def residuals(p):
        f, _ = basis(model, x, p[0] * unit_rate)
        return p[1] * f - samples / unit

    def jacobian(p):
        f, d = basis(model, x, p[0] * unit_rate)
        return np.stack([p[1] * d * unit_rate, f], axis=-1)

    rate, amplitude, rss = scan(model, x, samples)
    best = (rate, amplitude, rss, False)
    starts = np.linspace(low, high, N_STARTS) if low < 0 else np.geomspace(low, high, N_STARTS)
    for first in [rate, *starts]:
        _, a = profile(model, x, samples, np.array([first]))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = least_squares(
                    residuals, [first / unit_rate, a[0] / unit], jacobian, method="lm",
                    xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=2000,
                )
        except ValueError:
            continue
        rate, amplitude = found.x[0] * unit_rate, found.x[1] * unit
        f, _ = basis(model, x, rate)
        rss = float(np.sum((amplitude * f - samples) ** 2))
        inside = low < rate < high and amplitude > 0
        if inside and rss <= best[2] * (1 + 1e-12):
            best = (rate, amplitude, min(rss, best[2]), True)
    return best


def draw(samples_of, generator):
    """Bright, dim and the darkest voxels that are not empty; all of them when they are few."""
    mean = np.where(np.isfinite(samples_of).all(axis=1), np.abs(samples_of).mean(axis=1), 0)
    filled = np.flatnonzero(mean > 0)
    if len(filled) <= N_VOXELS:
        return filled
    order = filled[np.argsort(mean[filled], kind="stable")]
    tenth, half = max(len(order) // 10, N_VOXELS // 4), len(order) // 2
    parts = [order[:tenth], order[tenth:half], order[half:]]
    numbers = [N_VOXELS // 4, N_VOXELS // 4, N_VOXELS // 2]
    picks = [generator.choice(p, min(len(p), n), replace=False) for p, n in zip(parts, numbers)]
    return np.sort(np.concatenate(picks))


def program(biomarker, model, paths, flags, folder):
    command = [biomarker, "map", model, *map(str, paths), *flags]
    command += ["--output", str(folder), "--json", "--quiet"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def load(path):
    return np.asarray(nibabel.load(path).dataobj, dtype=np.float64)


def written(report, folder, ending):
    return folder / next(name for name in report["written"] if name.endswith(ending))


def read_samples(paths):
    """Samples of every voxel, x fastest, shape [voxel, volume]."""
    volumes = [load(path) for path in paths]
    series = volumes[0] if len(volumes) == 1 else np.stack(volumes, axis=-1)
    return series.reshape(-1, series.shape[-1], order="F")


def compare(name, model, paths, x, flags, biomarker, folder):
    report = program(biomarker, model, paths, flags, folder)
    of = lambda ending: load(written(report, folder, ending)).ravel(order="F")
    suffixes = {"adc": ("ADC", "S0map"), "t2": ("T2map", "S0map"), "t1_vfa": ("T1map", "M0map")}
    headline, amplitude = (of(f"desc-{model.replace('_', '')}_{suffix}.nii.gz") for suffix in suffixes[model])
    legend = json.loads(written(report, folder, "Status_dseg.json").read_text())["Levels"]
    status = of("Status_dseg.nii.gz").astype(int)
    samples_of = read_samples(paths)
    assert len(samples_of) == len(headline) == sum(report["status"].values())
    n_empty = int(np.sum(~samples_of.any(axis=1)))
    row = {"name": name, "n_all": len(headline), "n_empty": n_empty, "n_inside": 0, "n_bound": 0,
           "n_no_signal": 0, "n_worse": 0, "n_other": 0}
    relative, excess = [], []
    voxels = draw(samples_of, np.random.default_rng(20190726))
    for voxel in voxels:
        samples = samples_of[voxel]
        total = float(np.sum(samples**2))
        rate, _, rss, inside = optimum(model, x, samples)
        state = legend[str(status[voxel])]
        at_ours, slack = total, 1e-12 * total
        if state in ("converged", "at_lower_bound", "at_upper_bound"):
            ours = headline[voxel] if model == "adc" else 1 / headline[voxel]
            f, d = basis(model, x, ours)
            fitted = amplitude[voxel] * f
            at_ours = float(np.sum((fitted - samples) ** 2))
            # Rounding of rate and amplitude to single precision: first order, and second.
            of_parameters = [fitted, amplitude[voxel] * d * ours]
            residual = fitted - samples
            slack += 2.0**-23 * sum(abs(np.dot(p, residual)) for p in of_parameters)
            slack += 2.0**-48 * np.linalg.norm(sum(map(np.abs, of_parameters))) ** 2
        excess.append((at_ours - rss) / total)
        row["n_worse"] += at_ours > rss + slack
        if state == "converged" and inside:
            row["n_inside"] += 1
            relative.append(abs(ours - rate) / max(abs(rate), RATE_FLOOR[model]))
        elif state in ("at_lower_bound", "at_upper_bound") and not inside:
            row["n_bound"] += 1
        elif state == "no_signal" and total - rss <= 1e-12 * total:
            row["n_no_signal"] += 1
        else:
            row["n_other"] += 1
            print("  disagrees:", name, "voxel", voxel, state, "scipy", rate, rss, "ours", at_ours)
    row.update(n=len(voxels), median=np.median(relative), p99=np.quantile(relative, 0.99),
               max=np.max(relative), excess=max(excess))
    print(row)
    return row


def area(times, values, start, window):
    """Integral from start to start + window, linear between frames, ends interpolated."""
    end = start + window
    inside = (times > start) & (times < end)
    grid = np.concatenate([[start], times[inside], [end]])
    left = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(times) - 2)
    weight = (grid - times[left]) / (times[left + 1] - times[left])
    at_grid = values[:, left] * (1 - weight) + values[:, left + 1] * weight
    return np.sum(np.diff(grid) * (at_grid[:, 1:] + at_grid[:, :-1]) / 2, axis=1)


def compare_areas(data, biomarker, folder):
    """IAUC60 of every voxel of the breast with the program's own T1 and the measured artery."""
    breast = data / "dce/breast_dcemrijl"
    protocol = json.loads((breast / "protocol.json").read_text())
    tr_s, angle = protocol["TR_ms"] / 1e3, np.radians(protocol["DCE_flip_deg"])
    flips = np.loadtxt(breast / "vfa_flip_deg.txt").ravel()
    flags = ["--flip-angles-deg", ",".join(f"{f:g}" for f in flips)]
    flags += ["--repetition-time-ms", f"{protocol['TR_ms']:g}"]
    report = program(biomarker, "t1_vfa", [breast / "vfa_10.nii.gz"], flags, folder)
    t1_path = written(report, folder, "desc-t1vfa_T1map.nii.gz")
    flags = ["--flip-angles-deg", f"{protocol['DCE_flip_deg']:g}", "--repetition-time-ms",
             f"{protocol['TR_ms']:g}", "--frame-times-s", str(breast / "dce_times_s.txt"),
             "--t10-ms", str(t1_path), "--arterial-curve", str(breast / "aif_Cp_mM.csv")]
    report = program(biomarker, "iauc60", [breast / "dce_25t.nii.gz"], flags, folder)
    ours = load(written(report, folder, "desc-iauc60_mimap.nii.gz")).ravel(order="F")
    legend = json.loads(written(report, folder, "Status_dseg.json").read_text())["Levels"]
    status = load(written(report, folder, "Status_dseg.nii.gz")).astype(int).ravel(order="F")
    times = np.loadtxt(breast / "dce_times_s.txt")
    signals = read_samples([breast / "dce_25t.nii.gz"])
    arrival = report["arrival_s"]
    after = np.searchsorted(times, arrival)
    n_baseline = int(np.sum(times < arrival - 0.5 * (times[after] - times[after - 1])))
    t1 = load(t1_path).ravel(order="F")
    baseline = signals[:, :n_baseline].mean(axis=1)
    expected = np.where(baseline <= 0, "no_signal", "converged").astype("U32")
    expected[(expected == "converged") & ~((t1 >= 1e-3) & (t1 <= 60))] = "fixed_parameter_invalid"
    inside = np.flatnonzero(expected == "converged")
    e10 = np.exp(-tr_s / t1[inside])
    m0_sine = baseline[inside] * (1 - np.cos(angle) * e10) / (1 - e10)
    share = signals[inside] / m0_sine[:, None]
    saturated = (share < 0) | (share >= 1)
    e1 = (1 - share) / (1 - share * np.cos(angle))
    with np.errstate(all="ignore"):
        curves = (-np.log(e1) / tr_s - 1 / t1[inside][:, None]) / protocol["relaxivity_per_s_per_mM"]
    curves[saturated] = np.nan
    # Frames that the window looks at; one saturated frame is bridged by its neighbours, no more.
    used = np.arange(np.searchsorted(times, arrival, side="right") - 1,
                     np.searchsorted(times, arrival + 60.0) + 1)
    numbers = np.full(len(inside), np.nan)
    for row, (curve, bad) in enumerate(zip(curves, saturated)):
        if bad[used].sum() < 2:
            kept = np.ones(len(times), bool)
            kept[used[bad[used]]] = False
            numbers[row] = area(times[kept], curve[kept][None], arrival, 60.0)[0]
    expected[inside[~np.isfinite(numbers)]] = "saturated"
    names = np.array([legend[str(code)] for code in status])
    n_other = int(np.sum(names != expected))
    both = (names[inside] == "converged") & np.isfinite(numbers)
    scale = np.maximum(np.abs(numbers[both]), 1e-3)
    relative = np.abs(ours[inside][both] - numbers[both]) / scale
    counts = {legend[str(k)]: int(n) for k, n in zip(*np.unique(status, return_counts=True))}
    return {"counts": counts, "arrival": arrival, "n_baseline": n_baseline, "n": len(relative),
            "n_other": n_other, "median": np.median(relative),
            "p99": np.quantile(relative, 0.99), "max": np.max(relative)}


def page(rows, areas):
    lines = [
        "# Maps of real series against an independent optimum", "",
        "Written by `tests/it/golden/real_data_oracle.py`; never edited by hand. numpy "
        f"{np.__version__}, scipy {scipy.__version__}.", "",
        "Voxels are drawn at random without any mask: a fourth from the darkest tenth that is not "
        "empty, a fourth from the darker half, half from the brighter half; all where they are few. "
        "*Difference*: |ours − scipy| / |scipy| of the rate (ADC, 1/T2, 1/T1) as it stands in the "
        "single-precision map (rounding alone is up to 6e-8), where both optima lie inside the "
        "bounds. Rates below 1e-9 mm²/s or 1e-6 1/s count as that. *At a bound*, *no signal*: both "
        "say so. *Worse*: voxels whose residual sum of squares at our written estimates is above "
        "scipy's by more than that rounding; must be 0. *Undecided*: the two tell different "
        "stories; must be 0. *Empty*: all samples 0.", "",
        "| series | voxels | empty | drawn | inside | difference, median | p99 | max | at a bound |"
        " no signal | worse | undecided | verdict |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        agrees = row["max"] < LIMIT and not row["n_worse"] and not row["n_other"]
        lines.append(
            "| {name} | {n_all} | {n_empty} | {n} | {n_inside} | {median:.1e} | {p99:.1e} | "
            "{max:.1e} | {n_bound} | {n_no_signal} | {n_worse} | {n_other} | ".format(**row)
            + ("agrees" if agrees else "DISAGREES") + " |"
        )
    counts = ", ".join(f"{name} {n}" for name, n in areas["counts"].items())
    lines += [
        "", "## Initial area under the concentration curve, computed again in numpy", "",
        f"Breast, all voxels; T1 from the program's ten-flip map, arrival {areas['arrival']:.3f} s "
        f"on the measured arterial curve, {areas['n_baseline']} baseline frames. Status of all "
        f"voxels: {counts}.", "",
        "| voxels compared | other status in numpy | difference, median | p99 | max | verdict |",
        "|--:|--:|--:|--:|--:|---|",
        "| {n} | {n_other} | {median:.1e} | {p99:.1e} | {max:.1e} | ".format(**areas)
        + ("agrees" if areas["max"] < LIMIT and not areas["n_other"] else "DISAGREES") + " |",
    ]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--biomarker", required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for series in series_list(options.data):
            rows.append(compare(*series, options.biomarker, folder))
        areas = compare_areas(options.data, options.biomarker, folder)
    print(areas)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(page(rows, areas))


if __name__ == "__main__":
    main()
