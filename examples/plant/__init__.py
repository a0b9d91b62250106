"""Discrepancies planted into clean exports, so that it is known what has to be found."""
