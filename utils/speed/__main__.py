"""``python -m utils.speed``: print what the records say about speed, and draw the figures."""

from __future__ import annotations

import sys

from utils import records, speed
from utils.runtime import DataError, ModelError


def main() -> int:
    """Print the tables, draw the figures; return the exit code."""
    try:
        for name, record in speed.recorded().items():
            print(f"{name}: {record.hardware}, {record.backend}")
            for table in (speed.ratios_table(record), speed.growth_table(record)):
                if len(table):
                    print(table.round(2).to_string(), end="\n\n")
        runs = [records.load(name) for name in records.names()]
        known = [run for run in runs if run.info["dataset"] == "fer2013"]
        print(speed.seconds_to_accuracy_table(known).round(2).to_string())
        for path in speed.draw():
            print(f"drawn: {path.name}")
    except (DataError, ModelError) as error:
        print(f"utils.speed: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
