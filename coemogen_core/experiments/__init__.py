"""Comparisons of methods over several seeds: what runs, what came out, and what can be said about it."""
