"""What is said of a claim, and what one might ask its author."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from utils.claims.arithmetic import ROUNDINGS
from utils.claims.reported import PEOPLE
from utils.claims.splits import DATASETS
from utils.claims.supports import SplitMatch

if TYPE_CHECKING:
    from utils.claims.claim import Claim
    from utils.claims.reported import Reported

#: Above the best reproduced figure by more standard errors than this, a figure gets a question.
NOTABLE = 2
#: So many sizes of known splits are named; the others are counted.
MOST_SIZES = 4


def sentences(claim: Claim) -> tuple[str, ...]:
    """Say what there is to say of a claim, a sentence or two each."""
    said = [_possible(claim)]
    if not claim.possible:
        said.append(_elsewhere(claim))
    if claim.correct is not None:
        total = claim.n * claim.runs
        verb = "give" if claim.correct_agrees else "do not give"
        share = Decimal(100 * claim.correct) / total
        said.append(
            f"The {claim.correct:,} right answers of {total:,} that are claimed {verb} it: they "
            f"are {share:.{_places(claim) + 2}f} %."
        )
    if claim.match:
        said.append(str(claim.match))
    if claim.table:
        said.append(_table(claim))
    if claim.n:
        low, high = claim.interval
        said.append(f"Its 95 % interval at that size is {low:.1f} to {high:.1f} %.")
    said.append(_standing(claim))
    if not math.isnan(claim.above_people):
        middle, spread = PEOPLE
        said.append(
            f"People agree with these labels in {middle:.0f} ± {spread:.0f} % of cases; the figure "
            f"stands {_distance(claim.above_people)} those {middle:.0f} %."
        )
    asked = questions(claim)
    if asked:
        said.append("It deserves a question: " + " ".join(asked))
    else:
        said.append("Nothing here speaks against it.")
    return tuple(sentence for sentence in said if sentence)


def questions(claim: Claim) -> tuple[str, ...]:
    """List what one might ask a claim's author; empty where nothing stands out."""
    asked = []
    if claim.possible is False:
        if claim.counts["truncated"]:
            asked.append("Was the figure cut off instead of rounded?")
        asked.append("How many faces were tested, and is it one run's figure or a mean?")
    if claim.correct_agrees is False:
        asked.append("Which is right, the figure or the number of right answers?")
    if claim.match:
        asked.append(_of_match(claim.match, claim.dataset))
    if claim.table and (claim.table.impossible or not claim.table.agrees):
        asked.append("Do the figure and the table come from the same run?")
    if _above_the_bar(claim):
        asked.append(
            "Which split chose the epoch and the settings, and did balancing or augmentation come "
            "before the split?"
        )
        floor = 100 * (claim.classes - 1) / claim.classes
        if claim.classes > 2 and claim.accuracy >= floor:
            asked.append(
                f"Is it binary accuracy? Over {claim.classes} outputs, a network that never says "
                f"yes has {floor:.1f} %."
            )
    return tuple(question for question in asked if question)


def _number(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _places(claim: Claim) -> int:
    return max(0, -int(claim.accuracy.as_tuple().exponent))


def _distance(points: float, errors: float = math.nan) -> str:
    if round(points, 1) == 0:
        return "level with"
    inserted = "" if math.isnan(errors) else f" ({abs(errors):.1f} standard errors)"
    return f"{abs(points):.1f} points{inserted} {'above' if points > 0 else 'below'}"


def _possible(claim: Claim) -> str:
    figure = f"{claim.accuracy} %"
    if claim.n is None:
        return (
            f"{figure}: the number of test faces was not said, and there is no official split to "
            "go by, so its arithmetic cannot be checked."
        )
    size = f"n = {claim.n:,}" + (f" and {claim.runs} runs" if claim.runs > 1 else "")
    if not claim.n_said:
        size += " (the official test split, as no number was said)"
    if claim.possible:
        allowed = [one for one in ROUNDINGS[:2] if claim.counts[one]]
        only = f", by rounding {allowed[0]} only" if len(allowed) == 1 else ""
        return f"{figure} is possible at {size}: {_number(*claim.right)} right answers{only}."
    total = claim.n * claim.runs
    below = math.floor(Fraction(claim.accuracy) * total / 100)
    near = " and ".join(
        f"{right:,} are {Decimal(100 * right) / total:.{_places(claim) + 2}f} %"
        for right in (below, below + 1)
    )
    text = f"{figure} is not possible at {size}: of the nearest right answers, {near}."
    if claim.counts["truncated"]:
        text += f" Only cut off instead of rounded would {_number(*claim.right)} give it."
    if claim.runs_needed:
        text += f" The mean of {claim.runs_needed} runs could give it."
    return text


def _elsewhere(claim: Claim) -> str:
    """Name the known sizes that allow the figure and do not allow every figure."""
    sizes: dict[int, list[str]] = {}
    for split in claim.possible_at:
        if split.n < 10 ** (_places(claim) + 2):
            sizes.setdefault(split.n, []).append(split.name)
    if not sizes:
        return ""
    named = list(sizes.items())[:MOST_SIZES]
    text = "; ".join(f"{n:,} ({', '.join(names)})" for n, names in named)
    more = f"; and {len(sizes) - len(named)} more" if len(sizes) > len(named) else ""
    return f"Known sizes of {DATASETS[claim.dataset]} that allow it: {text}{more}."


def _table(claim: Claim) -> str:
    table = claim.table
    turned = " The matrix has the predictions in its rows." if table.transposed else ""
    if table.impossible:
        return f"The table does not add up: {'; '.join(table.impossible)}.{turned}"
    low, high = table.accuracy
    shares = f"{low:.2f} %" if table.right[0] == table.right[1] else f"{low:.2f} to {high:.2f} %"
    fits = "which fits the figure" if table.agrees else "which does not fit the figure"
    return f"The table means {_number(*table.right)} right answers, {shares}, {fits}.{turned}"


def _standing(claim: Claim) -> str:
    def part(what: str, bar: Reported, points: float, errors: float) -> str:
        return f"{_distance(points, errors)} {what}, {bar.accuracy} % ({bar.name})"

    parts = []
    if claim.reproduced:
        parts.append(
            part(
                "the best reproduced figure",
                claim.reproduced,
                claim.above_reproduced,
                claim.errors_above_reproduced,
            )
        )
    if claim.published:
        parts.append(
            part(
                "the best published one that no repetition contradicts",
                claim.published,
                claim.above_published,
                claim.errors_above_published,
            )
        )
    return f"It stands {', and '.join(parts)}." if parts else ""


def _above_the_bar(claim: Claim) -> bool:
    """Whether a figure stands clearly above what was repeated, and above all that stands."""
    clearly = claim.errors_above_reproduced > NOTABLE if claim.n else claim.above_reproduced > 0
    return clearly and not claim.above_published <= 0


def _of_match(match: SplitMatch, dataset: str) -> str:
    if match.renamed:
        return "Do the network and the report number the classes in the same order?"
    if match.how == "balanced" or (match.split and match.split.name.endswith("after balancing")):
        return "Were the classes balanced before the split was made?"
    if match.how in ("classes left out", "classes merged"):
        return "Which classes count? With fewer, the task is another."
    if match.split and match.split.dataset != dataset:
        return f"Are these faces of {DATASETS[dataset]}?"
    if dataset == "expw" or match.official:
        return ""
    if match.how in ("to rounding", "random draw"):
        return (
            "Is there a figure on the official split, too? Copies stand on both sides of any split "
            "of this set, and not the same ones, so figures of two splits do not compare."
        )
    if match.how == "none":
        return "Which faces were tested?"
    name = match.split.name
    if name.startswith("PublicTest"):
        return "Had PublicTest also chosen the network, or stopped its training?"
    if name.startswith(("Training", "whole set")):
        return "Had the network learned from these faces?"
    return ""
