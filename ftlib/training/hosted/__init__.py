"""Hosted training and answering: any provider, never paid twice, never over budget."""
