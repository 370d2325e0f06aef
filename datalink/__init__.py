"""DataLink: where the files of a data product are, the nearest copy first, and what belongs to them."""
