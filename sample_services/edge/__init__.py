"""The front door: plays, the home page and the devices' reports."""
