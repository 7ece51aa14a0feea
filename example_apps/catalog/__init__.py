"""A small catalog on Django, in one app: settings, models, views and URLs, each in its file."""
