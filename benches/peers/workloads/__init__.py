"""One module per workload: `INPUTS` it needs, `measure(bench)` gives its rows."""
