"""All that the kit needs to run without a download: drawn faces, captions, votes, an encoder."""
