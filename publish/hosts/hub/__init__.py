"""What the Hub target is made of: the client with limits, what a repository holds, and plans."""
