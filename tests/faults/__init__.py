"""Faults, from end to end: what must happen, shown through the real entry points."""
