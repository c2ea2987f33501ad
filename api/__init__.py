"""The example API under test, its gunicorn settings and its image."""
