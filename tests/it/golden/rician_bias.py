"""Mean bias of least-squares ADC under Rician noise, for `coverage.rs`.

Independent of the project: numpy's generator, and a bounded golden-section search over D with the
amplitude projected out (no derivative). D in 1e-3 mm2/s, S0 = 1.

Run: python rician_bias.py (numpy).
"""

import numpy as np

b = np.array([0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8])
truth, n = 2.5, 400_000
generator = np.random.default_rng(7)
golden = (np.sqrt(5.0) - 1.0) / 2.0


def projected(samples, rate):
    e = np.exp(-b * rate[:, None])
    return -((samples * e).sum(1) ** 2) / (e * e).sum(1)


def fit(samples):
    low, high = np.full(len(samples), -0.5), np.full(len(samples), 6.0)
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        better = projected(samples, left) < projected(samples, right)
        high, low = np.where(better, right, high), np.where(better, low, left)
    return (low + high) / 2


for snr in [10.0, 20.0, 40.0]:
    noise = generator.normal(size=(2, n, len(b))) / snr
    rate = fit(np.hypot(np.exp(-b * truth) + noise[0], noise[1]))
    print(snr, f"{rate.mean() / truth - 1:.5f} +- {rate.std() / np.sqrt(n) / truth:.5f}")
