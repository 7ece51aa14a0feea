"""``uvicorn example_apps.catalog.asgi:application``."""

import os

# Before what follows: Django reads its settings as it is imported.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_apps.catalog.settings")

from django.core.asgi import get_asgi_application

from example_apps.catalog import database

application = get_asgi_application()
database.prepare()
