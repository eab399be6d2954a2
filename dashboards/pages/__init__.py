"""Pages: each has a layout (frame and parts), a load (questions) and a render (pure)."""
