"""ADQL 2.0 and 2.1 into PostgreSQL with pgSphere: strict, pure, and the only road of a user's text to the database."""
