"""Models and prices: what can be tuned, on what, for how much."""
