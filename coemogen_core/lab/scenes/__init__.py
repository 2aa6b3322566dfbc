"""Procedural scenes of the lab: what they show, how each emotion is drawn, and what a truthful caption says."""
