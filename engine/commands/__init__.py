"""Commands in a file of their own: each parses, asks its room, and prints."""
