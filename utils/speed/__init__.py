"""How fast: timings taken in turns and their ratios, growth with the rows, seconds to an accuracy.

Nothing here measures. ``python -m benchmarks`` does, and records seconds; what is computed from
them is computed here, from the record. `timings` holds ratios and growth, `recording` the file,
`accuracy` what a run's history says about its time, `drawing` the figures of all that.
"""

from utils.speed.accuracy import (
    LEVELS,
    accuracy_by_time,
    seconds_to_accuracy,
    seconds_to_accuracy_table,
)
from utils.speed.drawing import draw
from utils.speed.recording import (
    FOLDER,
    Measurement,
    SpeedRecord,
    growth_points,
    growth_table,
    rates_table,
    ratios_table,
    read,
    record_path,
    recorded,
    write,
)
from utils.speed.timings import (
    AIMS,
    FASTER,
    Comparison,
    Growth,
    Spread,
    Timing,
    grows_faster,
    growth_exponent,
    last_exponent,
    rates,
    ratio,
    spread,
)

__all__ = [
    "AIMS",
    "FASTER",
    "FOLDER",
    "LEVELS",
    "Comparison",
    "Growth",
    "Measurement",
    "SpeedRecord",
    "Spread",
    "Timing",
    "accuracy_by_time",
    "draw",
    "grows_faster",
    "growth_exponent",
    "growth_points",
    "growth_table",
    "last_exponent",
    "rates",
    "rates_table",
    "ratio",
    "ratios_table",
    "read",
    "record_path",
    "recorded",
    "seconds_to_accuracy",
    "seconds_to_accuracy_table",
    "spread",
    "write",
]
