"""Run folders, tables, locks and background processes; all state is on disk."""
