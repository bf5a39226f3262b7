"""Unmixing: endmembers, abundances, and the methods that learn them."""
