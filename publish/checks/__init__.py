"""What a built folder must hold."""
