"""What is kept: run folders, tables and locks. The truth is on disk; nothing here imports torch."""
