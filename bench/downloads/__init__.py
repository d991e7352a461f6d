"""Bulk downloads side by side with curl, aria2, wget2 and rclone: ``python -m bench.downloads``."""
