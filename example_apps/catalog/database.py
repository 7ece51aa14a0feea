"""Makes the tables, and fills them; a second time nothing is left to do."""

from django.core.management import call_command
from django.db import connections

AUTHORS = {
    "Ada": {"Mugs": "mug", "Cups": "cup"},
    "Grace": {"Knives": "knife", "Spoons": "spoon", "Pans": "pan"},
}


def prepare() -> None:
    from example_apps.catalog.models import Author, Book  # not before Django is set up

    call_command("migrate", verbosity=0, run_syncdb=True)
    if not Author.objects.exists():
        for name, books in AUTHORS.items():
            author = Author.objects.create(name=name)
            Book.objects.bulk_create([Book(author=author, title=title, sku=sku) for title, sku in books.items()])
    connections.close_all()  # none must be carried into a forked worker
