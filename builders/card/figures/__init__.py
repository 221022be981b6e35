"""The figures of a card."""
