"""WRITE AND REOPEN: where rows go, the files that hold them, and a written release read again."""
