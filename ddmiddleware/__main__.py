"""``python -m ddmiddleware`` is the command ``ddmiddleware``."""

import sys

from ddmiddleware.cli import main

sys.exit(main())
