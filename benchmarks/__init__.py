"""What is measured here, and how.

``python -m benchmarks`` measures, in one run, how fast this project does what its ancestors did
too, and prints ratios; ``--record`` keeps the seconds in ``results/benchmarks/speed.json``, from
which `utils.speed` computes everything that is shown. Each part stands in `benchmarks.parts`.

The other files are scripts of their own, each with its record: ``augmentation.py``, ``smote.py``,
``detectors.py``, ``latency.py`` and ``margin.py``.
"""
