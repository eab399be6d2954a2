"""Prometheus samples: from a remote-write body to rows, and the series they belong to."""
