"""ENCODE: encoders, the store of what they made, vectors, search, near-duplicates, adherence."""
