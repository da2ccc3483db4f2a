"""``python -m utils.mistakes``."""

import sys

from utils.mistakes.command import main

if __name__ == "__main__":
    sys.exit(main())
