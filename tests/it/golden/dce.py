"""Numbers asserted in tests/it/golden_dce.rs and in the unit tests of src/perfusion.

Independent of the Rust code: textbook SPGR algebra, scipy quadrature and the ODE of the Tofts model.
Run with numpy and scipy; prints everything that the tests state.
"""
import numpy as np
from scipy.integrate import quad, solve_ivp

HEMATOCRIT = 0.42


def parker(t_min):
    """Whole blood, mM; Parker 2006."""
    a, centre, sigma = [0.809, 0.330], [0.17046, 0.365], [0.0563, 0.132]
    gaussians = sum(
        a[n] / (sigma[n] * np.sqrt(2 * np.pi)) * np.exp(-((t_min - centre[n]) ** 2) / (2 * sigma[n] ** 2))
        for n in range(2)
    )
    washout = 1.050 * np.exp(-0.1685 * t_min) / (1 + np.exp(-38.078 * (t_min - 0.483)))
    return np.where(t_min >= 0, gaussians + washout, 0.0)


def extended_tofts_ode(times_s, arrival_s, ktrans, ve, vp):
    """Tissue concentration, mM, by integrating dC_e/dt of the Tofts model; rates per minute."""
    plasma = lambda t: parker((t - arrival_s) / 60) / (1 - HEMATOCRIT)
    rhs = lambda t, c: ktrans / 60 * (plasma(t) - c / ve)
    solution = solve_ivp(rhs, [arrival_s, times_s[-1]], [0.0], method="DOP853", rtol=1e-11, atol=1e-13,
                         dense_output=True, max_step=1.0)
    return np.array([solution.sol(t)[0] + vp * plasma(t) if t >= arrival_s else 0.0 for t in times_s])


def area(times, values, start, length):
    inside = (times > start + 1e-9) & (times < start + length - 1e-9)
    nodes = np.concatenate([[start], times[inside], [start + length]])
    return np.trapezoid(np.interp(nodes, times, values), nodes)


def signal(concentration, tr, alpha, t10, r1):
    e = np.exp(-tr * (1 / t10 + r1 * concentration))
    return (1 - e) / (1 - np.cos(alpha) * e)


def concentration(s, n_baseline, tr, alpha, t10, r1):
    e0 = np.exp(-tr / t10)
    m = s[:n_baseline].mean() * (1 - np.cos(alpha) * e0) / (1 - e0)
    e = (m - s) / (m - s * np.cos(alpha))
    return (-np.log(e) / tr - 1 / t10) / r1


def main():
    blood = quad(lambda t: float(parker(t / 60)), 0, 60, epsabs=1e-11, limit=500)[0]
    print(f"Parker IAUC60 blood {blood:.6f} plasma {blood / (1 - HEMATOCRIT):.6f}")
    tr, alpha, t10, r1, arrival = 0.004, np.radians(15), 1.2, 4.5, 30.0
    times = np.arange(50) * 3.0
    tissue = extended_tofts_ode(times, arrival, 0.5, 0.4, 0.05)
    print("eTofts at 33, 39, 60, 90, 147 s:", *(f"{tissue[int(t / 3)]:.9f}" for t in (33, 39, 60, 90, 147)))
    fine = np.arange(0, 147.0001, 0.02)
    print(f"eTofts IAUC60 on a fine grid {area(fine, extended_tofts_ode(fine, arrival, 0.5, 0.4, 0.05), 30, 60):.5f}")
    s = signal(tissue, tr, alpha, t10, r1)
    nominal = area(times, concentration(s, 10, tr, alpha, t10, r1), arrival, 60)
    percent = lambda n, a, t, shift: 100 * (area(times, concentration(s, n, tr, a, t, r1), arrival + shift, 60) / nominal - 1)
    print(f"IAUC60 on 3 s frames {nominal:.6f}; shifts in %:")
    print(f"  T10 -20 % {percent(10, alpha, 0.8 * t10, 0):.4f}, +20 % {percent(10, alpha, 1.2 * t10, 0):.4f}")
    print(f"  flip -10 % {percent(10, 0.9 * alpha, t10, 0):.4f}, +10 % {percent(10, 1.1 * alpha, t10, 0):.4f}")
    print(f"  arrival early {percent(9, alpha, t10, -3):.6f}, late {percent(11, alpha, t10, 3):.6f}, "
          f"late with the same baseline {percent(10, alpha, t10, 3):.6f}")


if __name__ == "__main__":
    main()
