"""Saves every video of an IBM Video Streaming account, byte for byte, on the owner's own disk."""

__version__ = "0.1.0"
