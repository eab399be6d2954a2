"""Reading the collector: HTTP answers in, blocks of whole, closed steps out."""
