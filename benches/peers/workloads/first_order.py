"""First-order features of a million values; one thread each."""

import nibabel
import numpy as np

from timing import Row, cpu_of, interleave

INPUTS = ["groups"]


def numpy_features(values):
    """The features of the program that have no histogram, in the order of benches/kernel_times."""
    mean = values.mean()
    centred = values - mean
    squares = centred * centred
    variance = squares.mean()
    p05, p10, p25, median, p75, p90, p95 = np.percentile(values, [5, 10, 25, 50, 75, 90, 95])
    inner = values[(values >= p10) & (values <= p90)]
    energy = (values * values).sum()
    extra = [p05, p25, p75, p95, values.min(), values.max(), p75 - p25, np.sqrt(variance) / mean]
    extra += [(p75 - p25) / (p75 + p25), np.abs(values - median).mean()]
    extra.append(np.sqrt(energy / len(values)))
    return [
        mean,
        variance,
        (squares * centred).mean() / variance**1.5,
        (squares * squares).mean() / variance**2 - 3,
        median,
        p10,
        p90,
        np.abs(centred).mean(),
        np.abs(inner - inner.mean()).mean(),
        energy,
    ], extra


def radiomics_features(image, mask):
    """All first-order features of pyradiomics."""
    from radiomics.firstorder import RadiomicsFirstOrder

    features = RadiomicsFirstOrder(image, mask, binWidth=0.05)
    features.enableAllFeatures()
    return features.execute()


def radiomics_values(found):
    """The same features in the same order."""
    names = ["Mean", "Variance", "Skewness", "Kurtosis", "Median", "10Percentile", "90Percentile"]
    names += ["MeanAbsoluteDeviation", "RobustMeanAbsoluteDeviation", "Energy"]
    values = [float(found[name]) for name in names]
    values[names.index("Kurtosis")] -= 3
    return values


def measure(bench):
    path = bench.inputs / "first.nii"
    values = np.asanyarray(nibabel.load(path).dataobj).ravel(order="F").copy()
    exact = numpy_features(values)[0]
    kernels = bench.kernels()
    costs = {"numpy": cpu_of(lambda: numpy_features(values), 1)}
    judged = {"numpy": "reference"}
    try:
        import logging

        import SimpleITK

        logging.getLogger("radiomics").setLevel(logging.ERROR)
        image = SimpleITK.ReadImage(str(path))
        mask = SimpleITK.GetImageFromArray(np.ones((100, 100, 100), dtype=np.uint8))
        mask.CopyInformation(image)
        judged["pyradiomics"] = largest(radiomics_values(radiomics_features(image, mask)), exact)
        costs["pyradiomics"] = cpu_of(lambda: radiomics_features(image, mask), 1)
    except ImportError as error:
        bench.skipped("pyradiomics", error)
    costs["ours"] = lambda: kernels.cost("first_order")() * len(values)
    found = interleave(costs, bench.rounds)
    own = largest(kernels.values("first_order"), exact)
    kernels.close()
    return [
        Row(
            workload="first-order features, 1e6 values",
            peer=peer,
            item="run",
            peer_cost_s=found[peer],
            our_cost_s=found["ours"],
            ours="24 features",
            peer_accuracy=judged[peer],
            our_accuracy=own,
        )
        for peer in judged
    ]


def largest(values, exact):
    difference = np.max(np.abs(np.array(values) / np.array(exact) - 1))
    return f"max {difference:.0e}"
