"""Real services that show the suite at work; each runs alone, and `python -m example_apps.demo` runs them together."""
