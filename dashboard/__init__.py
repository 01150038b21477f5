"""The dashboard: pages that show the runs on disk. It imports no torch and stores no state."""
