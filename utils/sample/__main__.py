"""``python -m utils.sample FOLDER``: write the rendered sample faces as files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from utils.runtime import DataError
from utils.sample import PHOTOS, ROWS, write


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, say where; 0, or 2 after an error in words."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.sample",
        description="Write the rendered sample faces in the formats of FER2013, FER+ and ExpW.",
    )
    parser.add_argument("folder", help="where to; an empty or new folder")
    parser.add_argument("--rows", type=int, default=ROWS, help="48×48 faces (default: %(default)s)")
    parser.add_argument("--photos", type=int, default=PHOTOS, help="photos (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    chosen = parser.parse_args(arguments)
    try:
        folder = write(chosen.folder, rows=chosen.rows, photos=chosen.photos, seed=chosen.seed)
    except (DataError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{chosen.rows:,} rendered rows and {chosen.photos:,} photos in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
