"""The Train page: the form of a fit and the fits that run."""
