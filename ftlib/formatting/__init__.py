"""Formatting: tasks, training files, checks for each destination."""
