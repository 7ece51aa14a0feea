"""The catalog in Django's admin."""

from django.contrib import admin

from example_apps.catalog.models import Author, Book

admin.site.register((Author, Book))
