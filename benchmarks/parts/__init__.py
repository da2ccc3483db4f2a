"""The parts of ``python -m benchmarks``: in each, `measure` takes a `Plan` and returns timings."""
