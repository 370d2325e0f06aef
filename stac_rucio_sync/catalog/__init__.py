"""The versioned catalogue: a STAC catalogue with transactions, history and two backends."""
