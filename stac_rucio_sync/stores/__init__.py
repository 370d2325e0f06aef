"""Where what is wanted is held: Rucio, and the tables. Stores do not know each other."""
