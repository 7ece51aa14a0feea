"""``gunicorn example_apps.catalog.wsgi``."""

import os

# Before what follows: Django reads its settings as it is imported.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_apps.catalog.settings")

from django.core.wsgi import get_wsgi_application

from ddmiddleware import tracer
from example_apps.catalog import database

application = get_wsgi_application()
with tracer.trace("catalog.prepare", resource="prepare the catalog"):
    database.prepare()
