"""Training and measuring of the demonstration encoder."""
