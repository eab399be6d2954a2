"""Service level objectives: counted events in, budget, burn rates and alerts out. Pure."""
