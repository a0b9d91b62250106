"""Measurements of what is promised about speed and cost."""
