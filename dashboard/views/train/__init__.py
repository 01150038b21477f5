"""The Train page: the form of a fit, and the running fits."""
