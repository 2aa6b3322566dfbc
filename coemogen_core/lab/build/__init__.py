"""Training of the lab's models from nothing: `python -m coemogen_core.lab.build`."""
