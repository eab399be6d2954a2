"""Pyrra's dialect: its objects read, judged as it judges them, turned into rules and queries."""
