"""Search the settings: learning rate, batch size, number of filters, dropout.

`space` says what may be chosen, `study` searches, `findings` says what came out, and `command`
is ``python -m utils.search``.
"""

from utils.search.command import main
from utils.search.findings import (
    Price,
    Search,
    best_settings,
    describe,
    importance,
    load,
    price_of_choosing,
    record,
    recorded,
    results,
)
from utils.search.space import SETTINGS, Interval, Space, base_settings, settings_with
from utils.search.study import (
    RANDOM_TRIALS,
    STUDIES,
    UNPRUNED_TRIALS,
    draw_rows,
    grid,
    open_study,
    tpe,
)

__all__ = [
    "RANDOM_TRIALS",
    "SETTINGS",
    "STUDIES",
    "UNPRUNED_TRIALS",
    "Interval",
    "Price",
    "Search",
    "Space",
    "base_settings",
    "best_settings",
    "describe",
    "draw_rows",
    "grid",
    "importance",
    "load",
    "main",
    "open_study",
    "price_of_choosing",
    "record",
    "recorded",
    "results",
    "settings_with",
    "tpe",
]
