"""From a recorded decision to a signed request at the receiver."""
