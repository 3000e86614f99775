"""Curation: raw rows to train, valid and test, with a funnel that accounts for every row."""
