"""What the two APIs answer, as frozen values; pure parsing, no sockets."""
