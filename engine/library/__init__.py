"""The public functions of `import engine`, for runs, folders and plain arrays."""
