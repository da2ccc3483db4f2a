"""An audit as one HTML page that needs nothing else: no script, no file beside it, no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd

from utils.audit.findings import LISTS, Audit

#: The most rows of a list that a page, or a terminal, shows; the rest is counted.
MOST_ROWS, MOST_LINES = 500, 10
#: The most letters of a cell that a terminal shows.
MOST_LETTERS = 60
#: The most pairs of pictures that a page shows.
MOST_PAIRS = 60

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p { max-width: 46rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .7rem; border-bottom: 1px solid #ddd; }
th:first-child, td.text, th.text { text-align: left; overflow-wrap: anywhere; }
tbody th { font-weight: normal; }
img.figure { max-width: 100%; height: auto; }
.pairs { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; width: 12.5rem; } figcaption { font-size: .8rem; overflow-wrap: anywhere; }
figure img { width: 6rem; height: 6rem; image-rendering: pixelated; border: 1px solid #ccc; }
""".strip()

_READING = (
    "Correlation compares pixels, after each picture’s brightness and contrast have been taken "
    "out: 1 is the same picture, about 0 is noise. A copy that is shifted by a pixel can correlate "
    "less than two strangers, so likely pairs are compared once more, shifted; one that is turned "
    "or cropped closer is still missed, and what is found is a lower bound. Two photos of one "
    "person from one sitting can correlate like copies. The table of bands helps to tell where "
    "copies end: strangers’ mirror images fit as often as the pictures themselves, and their "
    "labels agree little more often than by chance."
)


def printable(text: str) -> str:
    """Write what a terminal or a page cannot show (control characters, broken bytes) as escapes."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def text(audit: Audit, *, most: int = MOST_LINES) -> str:
    """Write an audit as plain text.

    Parameters
    ----------
    audit : Audit
    most : int
        The most lines of a list; the rest is counted.

    Returns
    -------
    str
        A line on what was examined, then `Audit.tables`, each below its title.
    """
    parts = [printable(headline(audit))]
    for title, table in audit.tables().items():
        left = len(table) - most if title in LISTS else 0
        table = table.head(most) if left > 0 else table
        lines = _shown(table).map(_shortened).to_string()
        more = f"\n… and {left:,} more" if left > 0 else ""
        parts.append(f"{title}\n{'-' * len(title)}\n{lines}{more}")
    return "\n\n".join(parts)


def headline(audit: Audit) -> str:
    """Say in one line what was examined."""
    rows = ", ".join(f"{(audit.split == split).sum():,} {split}" for split in audit.splits)
    rows = rows if audit.across else "no splits: each compared with all others"
    skipped = "".join(f"; {reason}: {count:,}" for reason, count in audit.skipped)
    return f"{audit.name} from {audit.source}: {len(audit):,} pictures ({rows}){skipped}"


def page(audit: Audit, *, images: np.ndarray | None = None) -> str:
    """Write an audit as an HTML page.

    Parameters
    ----------
    audit : Audit
    images : (n, height, width, 1 or 3) uint8 array, optional
        The pictures that were examined: the page then shows its first `MOST_PAIRS` pairs that are
        no exact copies. They may be people's faces: without `images` the page shows no picture.

    Returns
    -------
    str
        The page, UTF-8 in all its characters. It loads nothing, and runs nothing.
    """
    title = f"What is wrong with {html.escape(printable(audit.name))}"
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        '<meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        f"<h1>{title}</h1>",
        f"<p>{html.escape(printable(headline(audit)))}</p>",
        f"<p>{_READING}</p>",
    ]
    for caption, picture in _figures(audit):
        parts.append(
            f'<h2>{html.escape(caption)}</h2>\n<img class="figure" alt="{html.escape(caption)}" '
            f'src="{_data(picture)}">'
        )
    for caption, table in audit.tables().items():
        parts.append(f"<h2>{html.escape(caption)}</h2>\n{_table(table)}")
    if images is not None:
        parts.append(_pairs(audit, images))
    return "\n".join(part for part in parts if part) + "\n</html>\n"


def _figures(audit: Audit) -> list[tuple[str, bytes]]:
    from utils import figures
    from utils.figures.style import NOTEBOOK_DPI, png

    at = audit.compared
    compared_with = "training" if audit.across else "the rest"
    drawn = {
        f"How well each picture correlates with its nearest in {compared_with}": (
            figures.best_correlations(
                audit.correlation[at],
                audit.exact[at],
                mirrored=audit.mirrored[at],
                threshold=audit.threshold,
                compared_with=compared_with,
            )
        ),
    }
    problems = audit.problems()
    problems = problems[problems["all"] > 0].rename(index=audit.describe)
    if len(problems):
        drawn["Pictures with a fault"] = figures.problem_counts(problems)
    return [(caption, png(figure, NOTEBOOK_DPI)) for caption, figure in drawn.items()]


def _table(table: pd.DataFrame) -> str:
    shown = _shown(table.head(MOST_ROWS))
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]
    kinds = ["" if number else ' class="text"' for number in numeric]
    head = "".join(
        f"<th{kind}>{html.escape(str(name))}</th>"
        for name, kind in zip(shown.columns, kinds, strict=True)
    )
    lines = [f"<tr><th>{html.escape(str(shown.index.name or ''))}</th>{head}</tr>"]
    body = []
    for row in shown.itertuples():
        cells = "".join(
            f"<td{kind}>{html.escape(str(cell))}</td>"
            for cell, kind in zip(row[1:], kinds, strict=True)
        )
        body.append(f'<tr><th class="text">{html.escape(str(row[0]))}</th>{cells}</tr>')
    left = len(table) - len(shown)
    more = f"<p>… and {left:,} more.</p>" if left else ""
    return (
        f'<div class="wide"><table><thead>{"".join(lines)}</thead>\n'
        f"<tbody>{chr(10).join(body)}</tbody></table></div>{more}"
    )


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Turn a table into texts: counts with commas, shares and correlations with three decimals."""
    return pd.DataFrame(
        {name: [_cell(value) for value in table[name].tolist()] for name in table.columns},
        index=pd.Index([printable(str(name)) for name in table.index], name=table.index.name),
        columns=table.columns,
    )


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.3f}"
    return printable(str(value))


def _shortened(cell: str) -> str:
    return cell if len(cell) <= MOST_LETTERS else f"{cell[: MOST_LETTERS - 1]}…"


def _pairs(audit: Audit, images: np.ndarray) -> str:
    pairs = audit.pairs()
    pairs = pairs[~pairs["exact"]]
    if pairs.empty:
        return ""
    shown = []
    for at, pair in zip(pairs.index, pairs.itertuples(), strict=True):
        if len(shown) == MOST_PAIRS:
            break
        pictures = "".join(
            f'<img alt="" src="{_data(_png(images[place]))}">' for place in (at, pair.position_of)
        )
        mirrored = ", mirrored" if pair.mirrored else ""
        shifted = f", {pair.aligned:.3f} shifted" if pair.correlation < audit.threshold else ""
        caption = (
            f"{pair.picture} ({pair.label}) and {pair.copy_of} ({pair.copy_of_label}): "
            f"{pair.correlation:.3f}{mirrored}{shifted}"
        )
        shown.append(
            f"<figure>{pictures}<figcaption>{html.escape(printable(caption))}</figcaption></figure>"
        )
    left = len(pairs) - len(shown)
    more = f"<p>… and {left:,} more.</p>" if left else ""
    return f'<h2>Near copies, side by side</h2>\n<div class="pairs">{"".join(shown)}</div>{more}'


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    picture = image[..., 0] if image.shape[-1] == 1 else image
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, format="PNG")
    return buffer.getvalue()


def _data(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"


def listed(audit: Audit) -> dict[str, Sequence[dict]]:
    """List pairs, contradictions and unreadable files by name, ready for JSON."""
    pairs = audit.pairs().drop(columns="position_of")
    for column in ("correlation", "aligned"):
        pairs[column] = pairs[column].astype(float).round(4)
    named = {
        "pairs": pairs.to_dict("records"),
        "contradictions": audit.contradictions().to_dict("records"),
        "unreadable_files": [{"file": name, "reason": why} for name, why in audit.unreadable],
    }
    return {
        what: [
            {key: printable(x) if isinstance(x, str) else x for key, x in row.items()}
            for row in rows
        ]
        for what, rows in named.items()
    }
