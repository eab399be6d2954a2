"""Viewers: an open-loop stream of people pressing play."""
