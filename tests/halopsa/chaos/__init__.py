"""Failing on purpose, at length: seeded mixes of faults, and death at every boundary of a load (`make chaos`)."""
