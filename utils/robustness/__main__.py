"""``python -m utils.robustness``."""

import sys

from utils.robustness.command import main

if __name__ == "__main__":
    sys.exit(main())
