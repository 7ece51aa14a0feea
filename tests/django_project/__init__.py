"""A Django project for the tests: Django is configured once a process, so all of them share it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

_folder = Path(tempfile.mkdtemp(prefix="ddmiddleware-django-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
DATABASE = str(_folder / "shop.db")


def settings() -> dict[str, Any]:
    """Return what the project sets."""
    return {
        "SECRET_KEY": "of no use",
        "ALLOWED_HOSTS": ["*"],
        "ROOT_URLCONF": "tests.django_project.urls",
        "USE_TZ": True,
        "LANGUAGES": [("en", "English"), ("de", "German")],
        "LOGGING_CONFIG": None,
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
        "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        "INSTALLED_APPS": [
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "django.contrib.staticfiles",
            "rest_framework",
        ],
        "STATIC_URL": "static/",
        "MIDDLEWARE": [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.locale.LocaleMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "tests.django_project.middleware.Seeing",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [str(Path(__file__).parent / "templates")],
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        "REST_FRAMEWORK": {
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_AUTHENTICATION_CLASSES": [],
        },
    }


def set_up() -> None:
    """Configure Django, and make the tables; a second call does nothing."""
    import django
    from django.conf import settings as configured

    if not configured.configured:
        configured.configure(**settings())
        django.setup()
        from django.core.management import call_command
        from django.db import connections

        call_command("migrate", verbosity=0)
        connections.close_all()
