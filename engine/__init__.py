"""Second Look's engine: from pictures to understood errors to a submission."""
