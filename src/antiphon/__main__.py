"""``python -m antiphon``: the command line."""

import sys

from antiphon.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
