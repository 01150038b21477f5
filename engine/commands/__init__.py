"""Commands that look deeper: each parses, asks its room, and prints."""
