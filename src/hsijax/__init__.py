"""hsijax: from a hyperspectral cube to a class map, on whatever device is there."""

__version__ = "0.1.0"
