"""`python -m neocog`."""

import sys

from neocog.cli import main

sys.exit(main())
