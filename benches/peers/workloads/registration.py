"""A free-form deformation between two contrasts of one knee: time, overlap, error and folds.

Both programs search for a rigid transform and a cubic B-spline of 12 mm over three resolutions by
Mattes mutual information with 32 bins. elastix: 500 steps of adaptive stochastic gradient descent of
2048 random samples per resolution, as in its manual.
"""

import itk
import nibabel
import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, map_coordinates

import knee_pair
from timing import Row, cpu_of, interleave

INPUTS = ["knee"]
CONTROL_SPACING_MM = 12.0


def read(bench, name):
    return np.asanyarray(nibabel.load(bench.inputs / f"{name}.nii").dataobj)


class Judge:
    """Overlap of labels, errors and folds of a displacement field [nx, ny, nz, 3], mm."""

    def __init__(self, bench):
        self.fixed, self.moving = read(bench, "knee_fixed_labels"), read(bench, "knee_moving_labels")
        self.truth_mm = read(bench, "knee_truth")
        self.places_mm = knee_pair.positions()
        body = self.fixed >= knee_pair.LABELS["muscle"]
        edge = np.zeros_like(body)
        for name in ["bone", "cartilage"]:
            tissue = self.fixed == knee_pair.LABELS[name]
            edge |= binary_dilation(tissue) & ~binary_erosion(tissue)
        self.body, self.edge = body, edge & body

    def figures(self, field_mm):
        moved = self.places_mm + field_mm
        at = list(np.moveaxis(moved / knee_pair.SPACING_MM, -1, 0))
        warped = map_coordinates(self.moving, at, order=0, mode="nearest")
        found = {}
        for name, value in knee_pair.LABELS.items():
            both = ((warped == value) & (self.fixed == value)).sum()
            found[f"dice_{name}"] = 2 * both / ((warped == value).sum() + (self.fixed == value).sum())
        errors_mm = np.linalg.norm(field_mm - self.truth_mm, axis=-1)
        for name, where in [("body", self.body), ("edge", self.edge)]:
            found[f"error_median_mm_{name}"] = np.median(errors_mm[where])
            found[f"error_p95_mm_{name}"] = np.quantile(errors_mm[where], 0.95)
        slopes = [np.gradient(moved, axis=a) / knee_pair.SPACING_MM[a] for a in range(3)]
        found["n_folded"] = int((np.linalg.det(np.stack(slopes, axis=-1)) <= 0).sum())
        return {name: float(value) for name, value in found.items()}


def text(figures):
    dice = "/".join(f"{figures[f'dice_{name}']:.3f}" for name in knee_pair.LABELS)
    errors = "/".join(
        f"{figures[f'error_{which}_mm_{where}']:.3f}"
        for where in ["body", "edge"]
        for which in ["median", "p95"]
    )
    return f"Dice {dice}; error mm body, edge {errors}; folds {figures['n_folded']:.0f}"


def parameters():
    found = itk.ParameterObject.New()
    rigid = found.GetDefaultParameterMap("rigid", 3)
    elastic = found.GetDefaultParameterMap("bspline", 3, CONTROL_SPACING_MM)
    for stage, steps in [(rigid, 250), (elastic, 500)]:
        stage["MaximumNumberOfIterations"] = [str(steps)]
        stage["NumberOfSpatialSamples"] = ["2048"]
        stage["NumberOfHistogramBins"] = ["32"]
        stage["WriteResultImage"] = ["false"]
    elastic["Metric"] = ["AdvancedMattesMutualInformation"]
    elastic["Registration"] = ["MultiResolutionRegistration"]
    elastic["GridSpacingSchedule"] = ["4", "2", "1"]
    elastic["FinalGridSpacingInPhysicalUnits"] = 3 * [str(CONTROL_SPACING_MM)]
    for stage in [rigid, elastic]:
        if "Metric0Weight" in stage:
            stage.erase("Metric0Weight")
        found.AddParameterMap(stage)
    return found


class Elastix:
    """The peer, one thread; images without orientation, so that its world is that of the arrays."""

    def __init__(self, bench):
        self.images = [self.image(read(bench, name)) for name in ["knee_fixed", "knee_moving"]]
        self.found = None

    @staticmethod
    def image(array):
        image = itk.image_from_array(np.ascontiguousarray(array.transpose(2, 1, 0), np.float32))
        image.SetSpacing([float(mm) for mm in knee_pair.SPACING_MM])
        return image

    def run(self):
        method = itk.ElastixRegistrationMethod.New(*self.images)
        method.SetParameterObject(parameters())
        method.SetLogToConsole(False)
        method.SetNumberOfThreads(1)
        method.UpdateLargestPossibleRegion()
        self.found = method.GetTransformParameterObject()

    def field_mm(self):
        field = itk.transformix_deformation_field(self.images[1], self.found)
        return itk.array_from_image(field).transpose(2, 1, 0, 3).astype(float)


def our_field_mm(kernels):
    raw = np.array(kernels.values("registration"))
    return raw.reshape(*knee_pair.SHAPE[::-1], 3).transpose(2, 1, 0, 3)


def measure(bench):
    judge, peer, kernels = Judge(bench), Elastix(bench), bench.kernels()
    costs = {"peer": cpu_of(peer.run, 1), "ours": kernels.cost("registration")}
    found = interleave(costs, min(bench.rounds, 3))
    theirs, own = judge.figures(peer.field_mm()), judge.figures(our_field_mm(kernels))
    kernels.close()
    print(f"  unregistered | {text(judge.figures(np.zeros_like(judge.truth_mm)))}")
    print(f"  elastix | {text(theirs)}")
    figures = {
        "dice_deficit": max(theirs[f"dice_{n}"] - own[f"dice_{n}"] for n in knee_pair.LABELS),
        "error_ratio": own["error_p95_mm_edge"] / theirs["error_p95_mm_edge"],
        "n_folded": own["n_folded"],
    }
    return [
        Row(
            workload="registration, B-spline 12 mm, 192 x 192 x 30",
            peer="elastix 5 (itk-elastix), 500 steps of 2048 samples",
            item="pair",
            peer_cost_s=found["peer"],
            our_cost_s=found["ours"],
            ours="rigid and free form",
            peer_accuracy=text(theirs),
            our_accuracy=text(own),
            note="Dice of muscle, bone and cartilage; distances from the known deformation",
            figures=figures,
        )
    ]
