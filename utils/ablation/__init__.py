"""What each ingredient of our recipe gives: one removed at a time, everything else left.

    python -m utils.ablation --data fer2013 --seeds 2

A `Line` is the recipe with one ingredient removed or exchanged. `run` trains each line with each
seed and records what the validation split says; the test split is taken out of the data before.
`table` sets each line against the whole recipe, paired by seed.
"""

from utils.ablation.command import main
from utils.ablation.findings import Ablation, describe, load, recorded, table
from utils.ablation.laboratory import run
from utils.ablation.lines import LINES, RECIPE, Line
from utils.ablation.plan import DATA, Plan, plan_for

__all__ = [
    "DATA",
    "LINES",
    "RECIPE",
    "Ablation",
    "Line",
    "Plan",
    "describe",
    "load",
    "main",
    "plan_for",
    "recorded",
    "run",
    "table",
]
