"""The resources below /tap: sync, async, capabilities, tables, availability, examples."""
