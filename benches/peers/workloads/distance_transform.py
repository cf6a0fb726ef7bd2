"""Signed distance of a cartilage mask, 384×384×160 anisotropic voxels; one thread each."""

import edt
import itk
import nibabel
import numpy as np
from scipy import ndimage

from timing import Row, cpu_of, interleave

INPUTS = ["cartilage"]
WORKLOAD = "signed distance, 384×384×160"


def maurer(mask, spacing_mm):
    """A function that runs ITK's filter; distances from the centres of boundary voxels."""
    image = itk.image_from_array(np.ascontiguousarray(mask.T).astype(np.uint8))
    image.SetSpacing([float(spacing) for spacing in spacing_mm])

    def run():
        found = itk.SignedMaurerDistanceMapImageFilter.New(image)
        found.SetUseImageSpacing(True)
        found.SetSquaredDistance(False)
        found.SetNumberOfWorkUnits(1)
        found.Update()
        return itk.array_view_from_image(found.GetOutput()).T

    return run


def measure(bench):
    image = nibabel.load(bench.inputs / "cartilage.nii")
    mask = np.asfortranarray(np.asanyarray(image.dataobj) > 0)
    spacing_mm = tuple(float(spacing) for spacing in image.header.get_zooms()[:3])
    exact = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    exact -= ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    exact = exact.ravel(order="F")

    def judged(values, reference):
        return "largest relative difference from scipy {:.2g}".format(
            np.max(np.abs(np.abs(values) / np.abs(reference) - 1.0))
        )

    # Positive inside.
    def by_edt():
        return edt.sdf(mask, anisotropy=spacing_mm, parallel=1)

    by_itk = maurer(mask, spacing_mm)
    kernels = bench.kernels()
    costs = {
        "edt": cpu_of(by_edt, mask.size),
        "itk": cpu_of(by_itk, mask.size),
        "ours": kernels.cost("distance_transform"),
    }
    found = interleave(costs, bench.rounds)
    own = np.array(kernels.values("distance_transform"))
    kernels.close()
    places = np.arange(len(own)) * mask.size // len(own)
    peers = {
        "edt": ("edt 3 sdf", judged(by_edt().ravel(order="F")[places], exact[places])),
        "itk": (
            "ITK SignedMaurerDistanceMap",
            "largest difference from scipy {:.2g} mm".format(
                np.max(np.abs(by_itk().ravel(order="F")[places] - exact[places]))
            ),
        ),
    }
    return [
        Row(
            workload=WORKLOAD,
            peer=peer,
            item="voxel",
            peer_cost_s=found[name],
            our_cost_s=found["ours"],
            peer_accuracy=accuracy,
            our_accuracy=judged(own, exact[places]),
        )
        for name, (peer, accuracy) in peers.items()
    ]
