"""What a pipeline's call returns."""

from PIL import Image


class Pictures(list[Image.Image]):
    """The pictures of one call: a list, and `.images` for code that expects the output of a diffusers pipeline."""

    @property
    def images(self) -> list[Image.Image]:
        """The same pictures."""
        return self
