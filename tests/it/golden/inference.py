"""Golden numbers of `golden_inference.rs` from numpy and scipy.

Run from this folder: `python inference.py > inference.json` (numpy 2.4.6, scipy 1.17.1). Peaks:
scipy minimises the multinomial likelihood of the bins of numpy's Freedman-Diaconis histogram and the
window is moved until it rests, or to the widest of its round; errors come from the three-parameter
Poisson information with numerical derivatives. Mixtures: scipy minimises the likelihood of values
with known errors from the true parameters on; errors come from a numerical Hessian. Bootstrap: mean
and SD of the ends of scipy's BCa interval over many runs.
"""

import json

import numpy as np
from scipy import optimize, stats
from scipy.special import logsumexp

rng = np.random.default_rng(20201218)


def rounded(values, digits=5):
    return [round(float(v), digits) for v in values]


def minimum(function, start):
    best = optimize.minimize(function, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 40000, "maxfev": 40000})
    best = optimize.minimize(function, best.x, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 40000, "maxfev": 40000})
    return best.x


def window(centres, mean, sd):
    inside = np.abs(centres - mean) <= 1.5 * sd
    if inside.sum() < 4:
        inside = np.zeros(len(centres), bool)
        inside[np.argsort(np.abs(centres - mean))[:4]] = True
    return np.flatnonzero(inside)[0], np.flatnonzero(inside)[-1] + 1


def peak(values, start):
    x = np.array(values)
    edges = np.histogram_bin_edges(x, "fd")
    counts = np.histogram(x, edges)[0]
    centres = (edges[1:] + edges[:-1]) / 2
    mean, sd = start
    visited = []
    while True:
        first, end = window(centres, mean, sd)
        at_rest = (first, end) in visited
        if at_rest:
            round_trip = visited[visited.index((first, end)) :]
            first, end = max(round_trip, key=lambda bins: bins[1] - bins[0])
        visited.append((first, end))
        e, n = edges[first : end + 1], counts[first:end]

        def loss(q):
            p = np.diff(stats.norm.cdf(e, q[0], np.exp(q[1])))
            if not (p > 0).all():
                return 1e300
            return -np.sum(n * np.log(p / p.sum()))

        mean, ln_sd = minimum(loss, [mean, np.log(sd)])
        sd = np.exp(ln_sd)
        if at_rest:
            break
    number = n.sum() / np.diff(stats.norm.cdf(e[[0, -1]], mean, sd))[0]

    def expected(q):
        return q[2] * np.diff(stats.norm.cdf(e, q[0], q[1]))

    at = np.array([mean, sd, number])
    slopes = np.array([(expected(at + d) - expected(at - d)) / (2 * d.sum()) for d in np.diag(1e-5 * at)])
    lam = expected(at)
    errors = np.sqrt(np.diag(np.linalg.inv((slopes / lam) @ slopes.T)))
    terms = lam - n + np.where(n > 0, n * np.log(np.maximum(n, 1) / lam), 0)
    return {
        "values": values,
        "mean": mean,
        "standard_deviation": sd,
        "number": number,
        "errors": errors.tolist(),
        "chi_squared": float(2 * terms.sum()),
        "n_bins": int(end - first),
        "n_windows": len(set(visited)),
        "window": [float(e[0]), float(e[-1])],
    }


def log_density(x, u, weights, means, variances):
    s = variances + u[:, None] ** 2
    return logsumexp(np.log(weights) - 0.5 * np.log(2 * np.pi * s) - 0.5 * (x[:, None] - means) ** 2 / s, axis=1)


def deconvolution(values, errors, weights, means, sds):
    x, u = np.array(values), np.array(errors)
    k = len(means)

    def unpack(q):
        a = np.append(0.0, q[: k - 1])
        return np.exp(a - logsumexp(a)), q[k - 1 : 2 * k - 1], q[2 * k - 1 :]

    def loss(q):
        w, m, v = unpack(q)
        return -log_density(x, u, w, m, np.exp(v)).sum()

    weights = np.array(weights)
    start = np.concatenate([np.log(weights[1:] / weights[0]), means, 2 * np.log(sds)])
    q = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-6}).x
    q = minimum(loss, q)
    d = 1e-4 * np.eye(len(q))
    hessian = np.array([[(loss(q + a + b) - loss(q + a - b) - loss(q - a + b) + loss(q - a - b)) / 4e-8 for b in d] for a in d])
    covariance = np.linalg.inv(hessian)
    w, m, v = unpack(q)
    t = np.exp(v)
    posteriors = []
    for value, error in [(x[0], u[0]), (x[1], u[1]), (means[0], 0.3), (1.1, 0.2)]:
        r = w * stats.norm.pdf(value, m, np.sqrt(t + error**2))
        r /= r.sum()
        precision = 1 / error**2 + 1 / t
        part = (value / error**2 + m / t) / precision
        mean = (r * part).sum()
        sd = np.sqrt((r * (1 / precision + part**2)).sum() - mean**2)
        posteriors.append([float(value), float(error), float(mean), float(sd)])
    return {
        "values": values,
        "errors": errors,
        "weights": w.tolist(),
        "means": m.tolist(),
        "intrinsic_standard_deviations": np.sqrt(t).tolist(),
        "mean_errors": np.sqrt(np.diag(covariance))[k - 1 : 2 * k - 1].tolist(),
        "log_likelihood": -float(loss(q)),
        "posteriors": posteriors,
    }


def mixture_sample(n, weights, means, sds, noise):
    which = rng.choice(len(weights), n, p=weights)
    u = noise * rng.uniform(0.3, 2.0, n)
    x = np.array(means)[which] + np.array(sds)[which] * rng.normal(size=n) + u * rng.normal(size=n)
    return deconvolution(rounded(x), rounded(u), weights, means, sds)


def bootstrap(values, name):
    statistic = {"mean": np.mean, "standard_deviation": lambda x, axis: np.std(x, axis=axis, ddof=1)}[name]
    runs = [stats.bootstrap((values,), statistic, n_resamples=10000, method="BCa", rng=rng).confidence_interval for _ in range(200)]
    ends = np.array([[run.low, run.high] for run in runs])
    return {
        "values": values,
        "statistic": name,
        "interval": ends.mean(0).tolist(),
        "monte_carlo_sd": ends.std(0, ddof=1).tolist(),
        "runs": len(runs),
    }


habitat = np.concatenate([rng.normal(0.54, 0.054, 1800), rng.uniform(0.7, 1.2, 200)])
golden = {
    "peaks": [
        peak(rounded(habitat), [0.54, 0.054]),
        peak(rounded(rng.normal(43.0, 6.0, 150), 2), [43.0, 6.0]),
        peak(rounded(rng.gamma(16.0, 0.075, 900)), [1.15, 0.3]),
    ],
    "deconvolutions": [
        mixture_sample(600, [0.4, 0.6], [0.54, 1.8], [0.054, 0.18], 0.08),
        mixture_sample(300, [1.0], [1.2], [0.1], 0.15),
        mixture_sample(900, [0.3, 0.3, 0.4], [0.5, 1.2, 2.4], [0.08, 0.1, 0.2], 0.1),
    ],
    "bootstraps": [
        bootstrap(rounded(rng.normal(0.54, 0.11, 18)), "mean"),
        bootstrap(rounded(rng.lognormal(0.0, 0.8, 12)), "mean"),
        bootstrap(rounded(rng.lognormal(0.0, 0.5, 25)), "standard_deviation"),
    ],
}
print(json.dumps(golden, indent=1))
