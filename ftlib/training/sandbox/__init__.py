"""A loopback service that speaks the hosted API and really trains a small model."""

from ftlib.training.sandbox.serve import serve

__all__ = ["serve"]
