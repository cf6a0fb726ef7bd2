"""Runs a command and prints its CPU time, wall time and peak memory as JSON."""

import json
import os
import subprocess
import sys
import time

start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
errors = child.stderr.read()
_, status, used = os.wait4(child.pid, 0)
wall_s = time.perf_counter() - start
if status != 0:
    sys.stderr.buffer.write(errors)
    sys.exit(1)
print(
    json.dumps(
        {
            "cpu_s": used.ru_utime + used.ru_stime,
            "wall_s": wall_s,
            "peak_bytes": 1024 * used.ru_maxrss,
        }
    )
)
