"""Everything that Django wants to know. The environment sets ``CATALOG_DATABASE`` (a file) and ``INVENTORY_URL``."""

import os
from pathlib import Path

SECRET_KEY = "only for a demo"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "example_apps.catalog.urls"
WSGI_APPLICATION = "example_apps.catalog.wsgi.application"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INVENTORY = os.environ.get("INVENTORY_URL", "http://127.0.0.1:8000")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "example_apps.catalog",
]
# First, or anywhere: the span is around all of them. Under ddmiddleware-run it could be left out.
MIDDLEWARE = [
    "ddmiddleware.django.TraceMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("CATALOG_DATABASE", str(Path(__file__).parent / "catalog.db")),
        "OPTIONS": {"timeout": 20},
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# What the environment could say as well: DD_DJANGO_INSTRUMENT_VIEWS=true.
DDMIDDLEWARE = {"INSTRUMENT_VIEWS": True}
