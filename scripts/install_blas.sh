#!/bin/sh
# Installs OpenBLAS where the linker does not find it, and says so.
set -eu

probe() {
    printf 'int main(void) { return 0; }\n' |
        cc -x c - -lopenblas -o /dev/null 2>/dev/null
}

if probe; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "OpenBLAS is missing: install its development package (openblas, openblas-devel or libopenblas-dev)" >&2
    exit 1
fi
echo "installing libopenblas-serial-dev (the BLAS behind ndarray-linalg)" >&2
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo"
fi
$as_root apt-get update -qq
$as_root apt-get install -y --no-install-recommends libopenblas-serial-dev
