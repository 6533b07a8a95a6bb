"""``python -m actorgrid`` is the ``actorgrid`` command."""

import sys

from actorgrid.cli import main

if __name__ == "__main__":
    sys.exit(main())
