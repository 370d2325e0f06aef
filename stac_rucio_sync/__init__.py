"""The bridge between STAC catalogues, Rucio data lakes and the Virtual Observatory."""

__version__ = "0.1.0"
