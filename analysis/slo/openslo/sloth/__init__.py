"""Sloth's dialect: its specs read, judged as Sloth judges them, and turned into its rules."""
