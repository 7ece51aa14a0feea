"""`python -m example_apps.demo`."""

import sys

try:
    from example_apps.demo.command import main

    sys.exit(main())
except KeyboardInterrupt:  # while all that is still being imported, when nothing has been started
    sys.exit(130)
