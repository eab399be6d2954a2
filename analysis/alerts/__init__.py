"""Alerts of objectives: what fires, who wants to hear nothing of it, in Alertmanager's words."""
