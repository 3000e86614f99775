"""Models and prices: the ground floor that every room may read."""

from ftlib.catalogue.listing import list_models, models_text
from ftlib.catalogue.models import Hosted, Markers, Model, Shape, find_model

__all__ = ["Hosted", "Markers", "Model", "Shape", "find_model", "list_models", "models_text"]
