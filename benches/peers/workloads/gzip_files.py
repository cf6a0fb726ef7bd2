"""Inflating and deflating float images: libraries in memory, whole reads and writes of ours."""

import nibabel
import numpy as np

from timing import Row, cpu_of, interleave

INPUTS = ["adc"]


def measure(bench):
    kernels = bench.kernels()
    path = bench.inputs / "adc.nii.gz"
    n_bytes = 4 * int(np.prod(nibabel.load(path).shape))
    names = ["inflate_zlib_rs", "inflate_libdeflate", "read_gzip", "read"]
    for content in ["", "_masked"]:
        names += [f"deflate_libdeflate_1{content}", f"encode_map{content}", f"write_map{content}"]
    costs = {name: kernels.cost(name) for name in names}
    costs["nibabel"] = cpu_of(lambda: np.asarray(nibabel.load(path).dataobj), n_bytes)
    found = interleave(costs, bench.rounds)
    packed = {name: kernels.values(name) for name in names}
    kernels.close()

    def row(workload, peer, ours, text):
        sizes = {}
        if packed.get(peer) and packed[ours]:
            sizes["size_ratio"] = packed[ours][0] / packed[peer][0]
        return Row(
            workload=workload,
            peer=text[0],
            item="byte",
            peer_cost_s=found[peer],
            our_cost_s=found[ours],
            ours=text[1],
            our_accuracy="{:.3f} of its size".format(sizes["size_ratio"]) if sizes else "",
            figures=sizes,
        )

    whole = "program's whole read of .nii.gz"
    writing = "program's whole write of .nii.gz"
    encoding = "program's encoder, in memory"
    library, level_1 = "zlib-rs through flate2, in memory", "libdeflate level 1, in memory"
    return [
        row("inflate", "inflate_zlib_rs", "inflate_libdeflate", (library, "libdeflate, in memory")),
        row("inflate", "inflate_zlib_rs", "read_gzip", (library, whole)),
        row("inflate", "nibabel", "read_gzip", ("nibabel, whole read of .nii.gz", whole)),
        row("read", "read_gzip", "read", (whole, "program's whole read of .nii")),
        # The target is judged by the first row: both in memory. The whole write makes a file, too.
        row("deflate, full map", "deflate_libdeflate_1", "encode_map", (level_1, encoding)),
        row("deflate, full map", "deflate_libdeflate_1", "write_map", (level_1, writing)),
        row(
            "deflate, map of 10 %",
            "deflate_libdeflate_1_masked",
            "encode_map_masked",
            (level_1, encoding),
        ),
        row(
            "deflate, map of 10 %",
            "deflate_libdeflate_1_masked",
            "write_map_masked",
            (level_1, writing),
        ),
    ]
