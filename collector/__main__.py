"""`python -m ddmiddleware.collector`."""

import sys

from ddmiddleware.collector import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
