"""Local files only: sources in, a checked release folder out."""
