"""TAP, Simple Cone Search and SIA 2 over the lake's tables."""
