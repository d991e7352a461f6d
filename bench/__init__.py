"""Measurements: what is never timed in a test."""
