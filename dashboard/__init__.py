"""The dashboard: pages on what a run left on disk. It imports no torch and keeps no truth."""
