"""Golden numbers of `golden_epg.rs`: echo trains by extended phase graphs in numpy.

Run from this folder: `python epg.py > epg.json` (numpy 2.4.6, scipy 1.17.1). The graph is carried as
complex F(k) and Z(k) in steps of half an echo spacing with recovery along the field, orders of both
signs, as Weigel writes it; slices by Bloch rotations of 3×3 matrices. Fits are bounded trust-region
least squares from many starts.
"""

import json

import numpy as np
from scipy.optimize import least_squares

T1 = 1200.0
rng = np.random.default_rng(20190727)


def train(n, angle, spacing, t2, t1=T1):
    """Echo amplitudes of unit magnetisation along x, refocused about x; times in ms, angle in rad."""
    size = 2 * n + 2
    f = np.zeros(2 * size + 1, complex)
    z = np.zeros(size + 1, complex)
    f[size] = 1.0
    e2, e1 = np.exp(-spacing / 2 / t2), np.exp(-spacing / 2 / t1)
    c, s, sn, cs = np.cos(angle / 2) ** 2, np.sin(angle / 2) ** 2, np.sin(angle), np.cos(angle)
    pulse = np.array([[c, s, -1j * sn], [s, c, 1j * sn], [-0.5j * sn, 0.5j * sn, cs]])

    def half(f, z):
        f, z = f * e2, z * e1
        z[0] += 1 - e1
        return np.concatenate([[0], f[:-1]]), z

    echoes = []
    for _ in range(n):
        f, z = half(f, z)
        turned, stored = f.copy(), z.copy()
        for k in range(size + 1):
            plus, minus, stored[k] = pulse @ np.array([f[size + k], np.conj(f[size - k]), z[k]])
            turned[size + k] = plus
            if k:
                turned[size - k] = np.conj(minus)
        f, z = half(turned, stored)
        assert abs(f[size].imag) < 1e-12
        echoes.append(f[size].real)
    return np.array(echoes)


def flip_angle(angle, place, steps=256, product=4.0):
    """Angle from the field by a Hamming-windowed sinc, `place` in half-widths of the slice."""
    t = (np.arange(steps) + 0.5) / steps - 0.5
    shape = np.sinc(product * t) * (0.54 + 0.46 * np.cos(2 * np.pi * t))
    m = np.array([0.0, 0.0, 1.0])
    turn = np.pi * product * place / steps

    def about_z(a):
        return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])

    def about_x(a):
        return np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])

    for part in shape / shape.sum() * angle:
        m = about_z(turn / 2) @ about_x(part) @ about_z(turn / 2) @ m
    return float(np.arctan2(np.hypot(m[0], m[1]), m[2]))


def sliced(n, angle, spacing, t2, field):
    total, weights = np.zeros(n), 0.0
    for index in range(24):
        place = 1.5 * (index + 0.5) / 24
        weight = np.sin(field * flip_angle(np.pi / 2, place))
        total += weight * train(n, field * flip_angle(angle, place), spacing, t2)
        weights += weight
    return total / weights


def plain_t2(times, echoes):
    fit = least_squares(lambda p: p[0] * np.exp(-times / p[1]) - echoes, [1, 40], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    return float(fit.x[1])


def table(degrees):
    times, echoes = 10.0 * np.arange(1, 7), train(6, np.deg2rad(degrees), 10, 40)
    return {
        "refocusing_angle_deg": degrees,
        "echoes": echoes.tolist(),
        "t2_ms": plain_t2(times, echoes),
        "t2_without_first_ms": plain_t2(times[1:], echoes[1:]),
    }


def signal(n, spacing, degrees, t2, field, profile):
    angle = np.deg2rad(degrees)
    if profile == "rectangular":
        echoes = train(n, field * angle, spacing, t2)
    else:
        echoes = sliced(n, angle, spacing, t2, field)
    return {"n": n, "spacing_ms": spacing, "refocusing_angle_deg": degrees, "slice_profile": profile,
            "t2_ms": t2, "b1": field, "echoes": echoes.tolist()}


def fit(n, spacing, t2, field, sigma):
    samples = [round(float(v), 4) for v in 1000 * train(n, field * np.pi, spacing, t2) + sigma * rng.normal(size=n)]

    def residuals(p):
        return 1000 * p[2] * train(n, p[1] * np.pi, spacing, 10 * p[0]) - samples

    best = None
    for start in [(1, 0.6, 1), (3, 0.8, 1), (6, 0.9, 1), (4, 0.7, 1.2), (8, 0.95, 0.9)]:
        found = least_squares(residuals, start, bounds=([0.1, 0.4, 0], [300, 1, np.inf]),
                              xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale=[1, 0.1, 1], jac="3-point")
        if best is None or found.cost < best.cost:
            best = found
    p = best.x
    steps = [1e-4, 1e-5, 1e-4]
    jacobian = np.stack([(residuals(p + h * np.eye(3)[k]) - residuals(p - h * np.eye(3)[k])) / (2 * h)
                         for k, h in enumerate(steps)], 1)
    bound = np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
    return {"n": n, "spacing_ms": spacing, "samples": samples, "t2_ms": 10 * p[0], "b1": p[1], "s0": 1000 * p[2],
            "residual_sum_of_squares": 2 * best.cost, "t2_ms_per_sigma": 10 * bound[0], "b1_per_sigma": bound[1]}


golden = {
    "table": [table(degrees) for degrees in (180, 160, 140, 120)],
    "flip_angles": [{"angle_rad": a, "place": p, "flip_angle_rad": flip_angle(a, p)}
                    for a in (np.pi / 2, 2.5, np.pi) for p in (0.0, 0.4, 0.9, 1.3)],
    "signals": [
        signal(6, 10.0, 180.0, 40.0, 0.85, "rectangular"),
        signal(8, 6.312, 180.0, 25.0, 0.62, "rectangular"),
        signal(16, 9.5, 150.0, 70.0, 0.9, "rectangular"),
        signal(32, 10.0, 180.0, 90.0, 0.72, "rectangular"),
        signal(6, 10.0, 180.0, 40.0, 0.95, "windowed_sinc"),
        signal(8, 6.312, 160.0, 55.0, 0.8, "windowed_sinc"),
    ],
    "fits": [fit(6, 10.0, 40.0, 0.85, 5.0), fit(8, 6.312, 30.0, 0.75, 8.0), fit(6, 10.0, 60.0, 0.8, 10.0),
             fit(16, 9.5, 45.0, 0.9, 4.0), fit(6, 10.0, 35.0, 0.7, 20.0)],
}
print(json.dumps(golden, indent=1))
