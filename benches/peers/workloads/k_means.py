"""k-means of a million samples of two variables, k = 3, cost per start; one thread each."""

import nibabel
import numpy as np
from sklearn.cluster import KMeans

from timing import Row, cpu_of, interleave

INPUTS = ["groups"]
OUR_STARTS = 20
PEER_STARTS = 4


def measure(bench):
    columns = [
        np.asanyarray(nibabel.load(bench.inputs / f"{name}.nii").dataobj).ravel(order="F")
        for name in ["first", "second"]
    ]
    features = np.stack(columns, axis=1)
    inertia = []

    def peer():
        settings = {"n_init": PEER_STARTS, "max_iter": 300, "tol": 0, "algorithm": "lloyd"}
        inertia.append(KMeans(3, random_state=0, **settings).fit(features).inertia_)

    kernels = bench.kernels()
    costs = {"peer": cpu_of(peer, PEER_STARTS), "ours": kernels.cost("k_means")}
    found = interleave(costs, min(bench.rounds, 2))
    own = kernels.values("k_means")[0]
    n_samples = len(features)
    kernels.close()
    return [
        Row(
            workload="k-means, 2 variables, 1e6 samples",
            peer="scikit-learn KMeans lloyd, to the fixpoint",
            item="start",
            peer_cost_s=found["peer"],
            our_cost_s=[cost * n_samples / OUR_STARTS for cost in found["ours"]],
            ours="best of 20 starts",
            peer_accuracy=f"inertia {inertia[-1]:.10g}",
            our_accuracy=f"inertia {own:.10g}",
            note="each with its own k-means++ starts",
        )
    ]
