"""See inside a network: `neocog.explain`, on your own model, which is left exactly as it was."""

from neocog.explaining.attribution import Attribution
from neocog.explaining.explainer import Explainer, Sample
from neocog.explaining.layers import Layer, Layers

__all__ = ["Attribution", "Explainer", "Layer", "Layers", "Sample"]
