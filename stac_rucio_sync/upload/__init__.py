"""Bulk upload: files of this machine into the lake, each with one fate, resumed where it was cut short."""
