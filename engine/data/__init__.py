"""Pictures in, one table out."""
