"""What this machine can do at most, and what of our costs is arithmetic or memory."""

from timing import Row, interleave

INPUTS = ["t2", "adc", "dce"]

# Request, what it is, its item.
LIMITS = {
    "fused_double": ("fused multiply-add, 64-bit lanes, one core", "lane"),
    "fused_single": ("fused multiply-add, 32-bit lanes, one core", "lane"),
    "memory": ("reading memory, one thread", "byte"),
    "t2_cached": ("t2: arithmetic alone, samples and results in the caches", "fit"),
    "t2_mask_traffic": ("t2 from the volume: loads and stores alone", "fit"),
    "adc_cached": ("adc: arithmetic alone, samples and results in the caches", "fit"),
    "adc_region_traffic": ("adc from the volume: loads and stores alone", "fit"),
    "iauc60_traffic": ("iauc60 from the volume: loads and stores alone", "voxel"),
}


def measure(bench):
    kernels = bench.kernels()
    found = interleave({name: kernels.cost(name) for name in LIMITS}, bench.rounds)
    kernels.close()
    return [
        Row(
            workload="limits",
            peer=text,
            item=item,
            peer_cost_s=found[name],
            our_cost_s=None,
            figures={"limit": name},
        )
        for name, (text, item) in LIMITS.items()
    ]
