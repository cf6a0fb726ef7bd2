"""What nibabel reads from every NIfTI file of the validation data.

    python nifti_nibabel.py DATA_FOLDER > nifti_nibabel.json

Made with nibabel 5.4.2 and numpy. For each file nibabel can read as real numbers per voxel: shape,
best affine, sha256 of all scaled values as little-endian float64 in file order (x fastest, -0 as 0,
NaN as 0x7ff8000000000000), count of non-finite values, sum, minimum and maximum of the finite ones,
and the bits of five voxels. No image data are stored.
"""

import hashlib
import json
import logging
import sys
import warnings
from pathlib import Path

import nibabel
import numpy

ENDINGS = (".nii", ".nii.gz", ".hdr", ".hdr.gz")


def number(value):
    return float(value) if numpy.isfinite(value) else str(value)


def describe(path):
    image = nibabel.load(path)
    if not isinstance(image, (nibabel.Nifti1Pair, nibabel.Nifti2Pair)):
        return {"refused": type(image).__name__}
    if image.get_data_dtype().kind not in "iuf":
        return {"refused": str(image.get_data_dtype())}
    values = image.get_fdata(dtype=numpy.float64).ravel(order="F") + 0.0
    values[numpy.isnan(values)] = numpy.nan
    finite = values[numpy.isfinite(values)]
    places = sorted({0, values.size // 5, values.size // 2, 4 * values.size // 5, values.size - 1})
    return {
        "shape": list(image.shape),
        "datatype": image.get_data_dtype().name,
        "affine": [[number(x) for x in row] for row in image.affine[:3]],
        "sha256": hashlib.sha256(values.astype("<f8").tobytes()).hexdigest(),
        "non_finite": int(values.size - finite.size),
        "sum": float(finite.sum()),
        "min": float(finite.min()),
        "max": float(finite.max()),
        "voxels": {str(i): f"{values.view(numpy.uint64)[i]:016x}" for i in places},
    }


def main():
    warnings.simplefilter("ignore")
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)
    folder = Path(sys.argv[1])
    table = {}
    for path in sorted(p for p in folder.rglob("*") if p.name.endswith(ENDINGS)):
        name = path.relative_to(folder).as_posix()
        try:
            table[name] = describe(path)
        except Exception as error:
            table[name] = {"refused": type(error).__name__}
    rows = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in table.items()]
    print("{\n" + ",\n".join(rows) + "\n}")


main()
