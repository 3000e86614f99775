"""Rehearsals of bad days: kills, faults, hostile input."""
