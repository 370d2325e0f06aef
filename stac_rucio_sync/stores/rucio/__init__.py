"""Rucio: what is registered, ruled, removed and read there, behind one client."""
