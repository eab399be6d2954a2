"""Statistics: pure functions of arrays, nothing read, nothing written."""
