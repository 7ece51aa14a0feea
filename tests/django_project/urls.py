"""URLs of the tests' project: a route of every shape."""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path, re_path
from rest_framework.routers import DefaultRouter

from tests.django_project import views

router = DefaultRouter()
router.register("books", views.Books, basename="book")

inner = ([path("<int:pk>/", views.shown, name="price"), re_path(r"^(?P<size>[sml])$", views.shown)], "inner")
outer = ([path("prices/<slug:kind>/", include(inner)), path("", views.shown)], "outer")

urlpatterns = [
    path("", views.shown, name="home"),
    path("static-page", views.shown),
    path("users/<int:pk>", views.shown),
    path("files/<path:name>", views.shown),
    re_path(r"^archive/(?P<year>[0-9]{4})/$", views.shown),
    re_path(r"^costs/\$$", views.shown),
    re_path(r"\Areports/(\d+)\Z", views.shown),
    re_path(r"^regions/(?P<region>\w+)/", include([re_path(r"^towns/(\d+)/$", views.shown)])),
    path("outer/", include(outer, namespace="shelf")),
    path("items/<int:pk>/", views.Item.as_view()),
    path("post-only", views.post_only),
    path("broken", views.broken),
    path("forbidden", views.forbidden),
    path("bad", views.bad),
    path("gone/<int:pk>", views.gone),
    path("late", views.late),
    path("moved", views.moved),
    path("failed", views.failed),
    path("lines", views.lines),
    path("async-lines", views.async_lines),
    path("breaking", views.breaking),
    path("file", views.file),
    path("memory", views.memory),
    path("later/<str:name>", views.later),
    path("later-class", views.Later.as_view()),
    path("async-broken", views.async_broken),
    path("listed", views.users),
    path("async-listed", views.async_users),
    path("me", views.me),
    path("async-me", views.async_me),
    path("api/", include(router.urls)),
    path("admin/", admin.site.urls),
    *i18n_patterns(path("about/<str:topic>", views.shown)),
]
