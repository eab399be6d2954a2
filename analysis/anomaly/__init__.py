"""One series against its own past."""
