"""Credentials, network, terminal: builds a release, checks it, and places it where people find it."""
