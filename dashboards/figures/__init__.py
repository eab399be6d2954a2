"""Charts as pure functions: values and a palette in, a plain dict with a sentence out."""
