"""The Hub as a host: a client with time limits, the contents of a repository, plans and writes."""
