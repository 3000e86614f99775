"""Evaluation: answers, metrics, statistics, judge, probes."""
