"""Pieces of pages: values in, components out."""
