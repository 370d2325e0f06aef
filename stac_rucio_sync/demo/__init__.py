"""The demonstration: a small catalogue with real bytes, and the whole road of its items on the embedded lake."""
