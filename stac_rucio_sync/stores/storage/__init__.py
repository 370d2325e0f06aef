"""The storage of RSEs, written and read by its own protocols."""
