"""`python -m example_apps.demo`."""

import sys

from example_apps.demo.command import main

sys.exit(main())
