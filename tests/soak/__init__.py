"""The trust campaign: what a month has to survive, at length (`make soak`)."""
