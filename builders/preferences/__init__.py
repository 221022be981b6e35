"""COUNT: what votes come to, and how far annotators agree."""
