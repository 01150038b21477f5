"""A run's report as a single HTML file without scripts or network access."""
