"""``python -m utils.audit``."""

import sys

from utils.audit.command import main

if __name__ == "__main__":
    sys.exit(main())
