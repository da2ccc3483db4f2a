"""What each mistake is worth: one small network, one protocol, one mistake at a time.

    python -m utils.mistakes --data fer2013 --seeds 5

`MISTAKES` says what is done wrong, why, and what to do instead. `run` trains what has to be
trained, each variant with several seeds and with the same number of gradient steps, and records
it; most mistakes need no training of their own, only another reading of the honest runs. `table`
sets each against the honest figure, paired by seed.

The wrong splits of `utils.mistakes.pools` are made here and only here.
"""

from utils.mistakes.catalogue import DROPPED, HONEST, KINDS, MISTAKES, Mistake
from utils.mistakes.command import describe, main
from utils.mistakes.findings import (
    Answers,
    Mistakes,
    figures_by_seed,
    load,
    recorded,
    table,
)
from utils.mistakes.laboratory import order, run
from utils.mistakes.plan import Plan, plan_for
from utils.mistakes.pools import VARIANTS, Pool, Variant, leaked

__all__ = [
    "DROPPED",
    "HONEST",
    "KINDS",
    "MISTAKES",
    "VARIANTS",
    "Answers",
    "Mistake",
    "Mistakes",
    "Plan",
    "Pool",
    "Variant",
    "describe",
    "figures_by_seed",
    "leaked",
    "load",
    "main",
    "order",
    "plan_for",
    "recorded",
    "run",
    "table",
]
