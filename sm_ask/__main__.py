"""`python -m sm_ask`."""

import sys

# Python puts the working directory first; a yaml.py that happens to lie there must not run.
if sys.path and sys.path[0] != "" and not getattr(sys.flags, "safe_path", False):
    sys.path.pop(0)

from sm_ask.cli.app import run

if __name__ == "__main__":
    run()
