"""The tables in PostgreSQL, behind one pool for those who write and one for those who read."""
