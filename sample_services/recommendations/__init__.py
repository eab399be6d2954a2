"""Rows of titles for the home page; nothing that plays video depends on it."""
