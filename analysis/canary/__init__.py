"""From blocks to a verdict about one canary."""
