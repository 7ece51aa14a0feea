"""`python -m example_apps.catalog`: the catalog under Django's own server, on port 8001 or `PORT`."""

import os

from django.core.management import execute_from_command_line

from example_apps.catalog import wsgi  # noqa: F401 (it sets up Django and its database)

execute_from_command_line(["catalog", "runserver", "--noreload", os.environ.get("PORT", "8001")])
