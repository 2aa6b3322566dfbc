"""EmotionPipeline: from an emotion, or a mixture of emotions, to pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor

from coemogen_core.generation.denoising import (
    batches,
    denoising_arguments,
    image_seeds,
    load_base_pipeline,
    open_base_pipeline,
    use_scheduler,
)
from coemogen_core.generation.pretrained import PipelineRecord, read_record, save_folder
from coemogen_core.generation.recipes import GenerationRecipe
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.model.conditioner import Conditioner
from coemogen_core.model.gates import EmotionQuery, emotion_weights
from coemogen_core.model.hilora import HiLoRA, inject
from coemogen_core.model.saved_model import SavedModel, SavedModelConfig
from coemogen_core.model.text_encoder import FrozenTextEncoder
from coemogen_core.model_source import fingerprint

VISUAL_STREAM = 0x76_69_73_75_61_6C  # keeps the draw of v apart from the draw of the latents of the same seed


class EmotionPipeline:
    """A Stable Diffusion pipeline with trained HiLoRA and conditioner on top.

        pipe = EmotionPipeline.from_run(models, "workspace/runs/train-0123456789ab/model")
        pipe("awe", num_images=4, seed=0)
        pipe({"awe": 0.6, "fear": 0.4})

    The visual embedding v of each picture is drawn from the emotion's cluster (paper, section on generation). A picture is a function of
    model, emotion, seed and recipe, not of the batch it is made in. The unconditional branch sees the empty prompt.
    """

    def __init__(self, base: StableDiffusionPipeline, model: SavedModel) -> None:
        """Put a trained model on a base pipeline, which is changed in place and belongs to this pipeline from then on.

        Raises:
            ValueError: the model's weights do not fit the base model.
        """
        hilora = inject(base.unet, model.config.rank, model.config.alpha, model.config.targets)
        hilora.load_state_dict(model.hilora)
        conditioner = model.restore_conditioner(FrozenTextEncoder(base.text_encoder, base.tokenizer)).to(base.device)
        self._assemble(base, model.config, model.clusters, hilora, conditioner, merges=True)

    @classmethod
    def around(
        cls, base: StableDiffusionPipeline, config: SavedModelConfig, clusters: EmotionClusters, hilora: HiLoRA, conditioner: Conditioner
    ) -> "EmotionPipeline":
        """A pipeline around parts that somebody else goes on training: it sets their gates and changes nothing else of them.

        Args:
            base: with the U-Net that `hilora` was injected into.
            config: what the model's configuration would be.
            clusters: where visual embeddings are drawn from.
            hilora: the low-rank pairs.
            conditioner: mapper, visual-perception encoder and text encoder.
        """
        pipeline = cls.__new__(cls)
        pipeline._assemble(base, config, clusters, hilora, conditioner, merges=False)
        return pipeline

    def _assemble(
        self,
        base: StableDiffusionPipeline,
        config: SavedModelConfig,
        clusters: EmotionClusters,
        hilora: HiLoRA,
        conditioner: Conditioner,
        *,
        merges: bool,
    ) -> None:
        self.base, self.config, self.clusters, self.hilora, self.conditioner = base, config, clusters, hilora, conditioner
        self._base_scheduler = base.scheduler
        self._empty_prompt = conditioner.text_encoder.encode_prompts([""]).sequence
        self._merges = merges
        self._merged_gate: Tensor | None = None

    @classmethod
    def from_run(cls, models: BaseModels, folder: str, device: str = "auto", dtype: torch.dtype | None = None) -> "EmotionPipeline":
        """Load base models and a trained model (the folder `runs/<run_id>/model`, any fsspec URI).

        Raises:
            FileNotFoundError: no finished model in the folder.
        """
        model = SavedModel.load(folder)
        model.config.compare_base(models.diffusion, models.diffusion_revision)
        return cls(load_base_pipeline(models, device, dtype), model)

    @classmethod
    def from_pretrained(
        cls, folder: Path | str, base: str | None = None, device: str = "auto", dtype: torch.dtype | None = None
    ) -> "EmotionPipeline":
        """Open what `save_pretrained` wrote.

        Args:
            folder: of the pipeline.
            base: folder or hub id of the base model where it is no longer in the place that was noted; warns when it is another model.
            device: auto, cpu or cuda.
            dtype: None takes half precision on a GPU, else float32.

        Raises:
            FileNotFoundError: no pipeline in the folder, or its base model is not where it was.
            ValueError: written by a later version, or the base model in the folder was changed.
        """
        record = read_record(Path(folder))
        model = SavedModel.load(str(Path(folder) / "model"))
        place, revision = (base, None) if base is not None else (record.base, record.revision)
        assert place is not None
        if place != str(Path(folder) / "base"):
            model.config.compare_base(place, revision)
        return cls(open_base_pipeline(place, revision, device, dtype), model)

    def save_pretrained(self, folder: Path | str, *, include_base: bool = True) -> None:
        """Write the pipeline into a local folder that holds nothing yet, as safetensors, with a card; it appears whole or not at all.

        Args:
            folder: takes `model/`, `base/`, `README.md` and `pipeline.json`.
            include_base: on = the folder needs nothing else, in the precision that the base was loaded with (SD 1.5: 4.3 GB in float32);
                off = it only notes where the base model was loaded from, and its fingerprint.

        Raises:
            FileExistsError: the folder holds something.
            ValueError: `include_base` is off, but the base was made in memory.
        """
        self._merged_gate = None
        self.base.scheduler = self._base_scheduler
        record = None if include_base else self._base_elsewhere()
        model = SavedModel(self.config, self.conditioner.state_dict(), self.hilora.state_dict(), self.clusters)
        save_folder(Path(folder), model, self.base, self.hilora.taken_out(self.base.unet), record)

    def __call__(
        self, emotion: EmotionQuery, num_images: int = 1, seed: int = 0, recipe: GenerationRecipe | None = None, **settings: Any
    ) -> list[Image.Image]:
        """Generate pictures.

        Args:
            emotion: one of the eight, or a fusion such as `{"awe": 0.6, "fear": 0.4}`.
            num_images: how many; image k has seed `seed + k`.
            seed: of the first image.
            recipe: denoising settings; None takes the defaults.
            settings: single fields of the recipe, e.g. `guidance_scale=5, num_inference_steps=30, intensity=1.5`.

        Returns:
            RGB pictures.

        Raises:
            ValueError: an unknown emotion, one that the training corpus lacked, or a setting out of range.
        """
        fields = {**(recipe or GenerationRecipe()).model_dump(), **settings}
        return self.generate(emotion, image_seeds(seed, num_images), GenerationRecipe.model_validate(fields))

    @torch.inference_mode()
    def generate(self, emotion: EmotionQuery, seeds: Sequence[int], recipe: GenerationRecipe) -> list[Image.Image]:
        """One picture per seed."""
        weights = emotion_weights(emotion)
        gate = self.config.gate(emotion, recipe.intensity)
        pictures: list[Image.Image] = []
        for chunk in batches(seeds, recipe.batch_size):
            self._open_gate(gate, len(chunk), recipe)
            visual = torch.stack([self.clusters.sample(emotion, self.visual_seed(seed)) for seed in chunk])
            emotions = weights.expand(len(chunk), -1)
            sequence = self.conditioner(emotions.to(self.base.device), visual.to(self.base.device)).sequence
            use_scheduler(self.base, self._base_scheduler, recipe)
            result = self.base(
                prompt_embeds=sequence.to(self.base.unet.dtype),
                negative_prompt_embeds=self._empty_prompt.expand_as(sequence).to(self.base.unet.dtype),
                **denoising_arguments(self.base, recipe, chunk),
            )
            pictures.extend(result.images)
        return pictures

    @staticmethod
    def visual_seed(seed: int) -> int:
        """Seed of an image's visual embedding: another stream than that of its starting noise."""
        return seed ^ VISUAL_STREAM

    def _base_elsewhere(self) -> PipelineRecord:
        place = self.base.name_or_path
        if not place:
            raise ValueError("the base model was made in memory and lies nowhere: save with include_base=True")
        if Path(place).is_dir():
            place = str(Path(place).resolve())
        trained_on, _, commit = self.config.base_models["diffusion"].partition("@")
        revision = commit if trained_on == place else None  # a hub id: the pipeline itself does not know its commit
        return PipelineRecord(base=place, revision=revision, fingerprint=fingerprint(place, revision))

    def _open_gate(self, gate: Tensor, count: int, recipe: GenerationRecipe) -> None:
        """Merge the gate when both guidance branches share it, else set it for the conditional half of the batch only."""
        shared = recipe.unconditional_gates == "same" or recipe.guidance_scale <= 1
        if shared and not self._merges:
            self.hilora.set_gates(gate.expand(count, -1))
            return
        if shared:
            if self._merged_gate is None or not torch.equal(self._merged_gate, gate):
                self.hilora.merge(gate)
                self._merged_gate = gate
            return
        self.hilora.unmerge()
        self._merged_gate = None
        self.hilora.set_gates(torch.cat([torch.zeros(count, len(gate)), gate.expand(count, -1)]))
