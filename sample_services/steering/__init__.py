"""Which delivery site should serve this viewer."""
