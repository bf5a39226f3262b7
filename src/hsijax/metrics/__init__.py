"""Measures of quality: NumPy, pure functions, shares of 1."""
