"""Copies of what a search found: rules on items or on chosen assets, their states, and the files themselves."""
