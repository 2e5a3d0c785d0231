"""The only importers of each outside system: one small protocol apiece."""
