"""Class maps: what a trained classifier says of each pixel."""
