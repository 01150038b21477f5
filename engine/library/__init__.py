"""What `import engine` offers: one call for each step, on runs, folders and plain arrays."""
