"""LOOK: is an image sound, was it looked at before, what does it look like."""
