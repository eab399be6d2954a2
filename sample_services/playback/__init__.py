"""Turns "press play" into a manifest: licence, renditions, addresses."""
