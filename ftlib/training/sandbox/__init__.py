"""A loopback service that speaks the hosted API and really trains a small model."""
