"""The URLs of the catalog."""

from django.contrib import admin
from django.urls import include, path

from example_apps.catalog import views

catalog = (
    [
        path("books/<int:pk>/", views.BookView.as_view(), name="book"),
        path("authors/<int:pk>/", views.author, name="author"),
        path("reports/sales/", views.broken, name="sales"),
    ],
    "catalog",
)

urlpatterns = [path("", views.home, name="home"), path("catalog/", include(catalog)), path("admin/", admin.site.urls)]
