"""``python -m utils.search``."""

import sys

from utils.search.command import main

if __name__ == "__main__":
    sys.exit(main())
