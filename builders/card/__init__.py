"""What people read of a release: card, licences, citation, changelog, Croissant, figures."""
