"""EmotionPipeline: from an emotion, or a mixture of emotions, to pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DiffusionPipeline, SchedulerMixin, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from coemogen_core.generation.denoising import (
    batches,
    check_size,
    denoising_arguments,
    image_seeds,
    load_base_pipeline,
    open_base_pipeline,
    use_scheduler,
)
from coemogen_core.generation.pretrained import find_base, note_base, save_folder
from coemogen_core.generation.transfer import Transfer, TransferConditions, check_content
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.model.conditioner import Conditioner
from coemogen_core.model.gates import EmotionQuery, emotion_weights
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.model.hilora import HiLoRA, inject
from coemogen_core.model.saved_model import SavedModel, SavedModelConfig
from coemogen_core.model.text_encoder import FrozenTextEncoder


class Pictures(list[Image.Image]):
    """The pictures of one call: a list, and `.images` for code that expects the output of a diffusers pipeline."""

    @property
    def images(self) -> list[Image.Image]:
        """The same pictures."""
        return self


VISUAL_STREAM = 0x76_69_73_75_61_6C  # keeps the draw of v apart from the draw of the latents of the same seed
SHARED_WITH_BASE = ("vae", "text_encoder", "tokenizer", "unet", "scheduler")


class EmotionPipeline(DiffusionPipeline):
    """A Stable Diffusion pipeline with trained HiLoRA and conditioner on top.

        pipe = EmotionPipeline.from_run(models, "workspace/runs/train-0123456789ab/model")
        pipe("awe", num_images=4, seed=0)
        pipe({"awe": 0.6, "fear": 0.4})
        pipe("awe", content="a street")

    The visual embedding v of each picture is drawn from the emotion's cluster (paper, section on generation). A picture is a function of
    model, emotion, seed and recipe, not of the batch it is made in. The unconditional branch sees the recipe's negative prompt.

    It is a diffusers pipeline: `to`, `components`, `enable_attention_slicing`, `set_progress_bar_config` do what they do there, and
    a sampler that is put into `pipe.scheduler` is the one that `scheduler="base"` takes.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: PreTrainedTokenizerBase,
        unet: UNet2DConditionModel,
        scheduler: SchedulerMixin,
        conditioner: Conditioner,
        hilora: HiLoRA,
        clusters: EmotionClusters,
        trained: SavedModelConfig,
    ) -> None:
        """Put finished parts together; `on_base`, `from_run` and `from_pretrained` make them.

        Args:
            vae, text_encoder, tokenizer, unet, scheduler: those of a Stable Diffusion 1.x pipeline.
            conditioner: mapper and visual-perception encoder over this text encoder.
            hilora: the low-rank pairs that were injected into this U-Net.
            clusters: where visual embeddings are drawn from.
            trained: configuration of the trained model.
        """
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            conditioner=conditioner,
            hilora=hilora,
            clusters=clusters,
            trained=trained,
        )
        self.set_progress_bar_config(disable=True)
        self._base: StableDiffusionPipeline | None = None
        self._merges = True
        self._merged_gate: Tensor | None = None

    @classmethod
    def on_base(cls, base: StableDiffusionPipeline, model: SavedModel) -> "EmotionPipeline":
        """Put a trained model on a base pipeline, which is changed in place and belongs to this pipeline from then on.

        Raises:
            ValueError: the model's weights do not fit the base model.
        """
        hilora = inject(base.unet, model.config.rank, model.config.alpha, model.config.targets)
        hilora.load_state_dict(model.hilora)
        conditioner = model.restore_conditioner(FrozenTextEncoder(base.text_encoder, base.tokenizer)).to(base.device)
        pipeline = cls.around(base, model.config, model.clusters, hilora, conditioner)
        pipeline._merges = True
        return pipeline

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
        shared = {name: getattr(base, name) for name in SHARED_WITH_BASE}
        pipeline = cls(**shared, conditioner=conditioner, hilora=hilora, clusters=clusters, trained=config)
        pipeline._base, pipeline._merges = base, False
        return pipeline

    @property
    def base(self) -> StableDiffusionPipeline:
        """The Stable Diffusion pipeline that denoises, of the same parts (its U-Net holds the HiLoRA layers)."""
        parts = {name: getattr(self, name) for name in SHARED_WITH_BASE}
        if self._base is None:
            self._base = StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
        for name, part in parts.items():
            if getattr(self._base, name) is not part:
                setattr(self._base, name, part)
        self._base.set_progress_bar_config(**self._progress_bar_config)
        return self._base

    @classmethod
    def from_run(cls, models: BaseModels, folder: str, device: str = "auto", dtype: torch.dtype | None = None) -> "EmotionPipeline":
        """Load base models and a trained model (the folder `runs/<run_id>/model`, any fsspec URI).

        Raises:
            FileNotFoundError: no finished model in the folder.
        """
        model = SavedModel.load(folder)
        model.config.compare_base(models.diffusion, models.diffusion_revision)
        return cls.on_base(load_base_pipeline(models, device, dtype), model)

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
        noted = find_base(Path(folder))
        model = SavedModel.load(str(Path(folder) / "model"))
        place, revision = noted if base is None else (base, None)
        if place != str(Path(folder) / "base"):
            model.config.compare_base(place, revision)
        return cls.on_base(open_base_pipeline(place, revision, device, dtype), model)

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
        record = None if include_base else note_base(self.base, self.trained)
        model = SavedModel(self.trained, self.conditioner.state_dict(), self.hilora.state_dict(), self.clusters)
        save_folder(Path(folder), model, self.base, self.hilora.taken_out(self.unet), record)

    def __call__(
        self, emotion: EmotionQuery, num_images: int = 1, seed: int = 0, recipe: GenerationRecipe | None = None, **settings: Any
    ) -> Pictures:
        """Generate pictures.

        Args:
            emotion: one of the eight, or a fusion such as `{"awe": 0.6, "fear": 0.4}`.
            num_images: how many; image k has seed `seed + k`.
            seed: of the first image.
            recipe: denoising settings; None takes the defaults.
            settings: single fields of the recipe, e.g. `guidance_scale=5, num_inference_steps=30, intensity=1.5, content="a street"`.

        Returns:
            RGB pictures.

        Raises:
            ValueError: an unknown emotion, one that the training corpus lacked, or a setting out of range.
        """
        fields = {**(recipe or GenerationRecipe()).model_dump(), **settings}
        return self.generate(emotion, image_seeds(seed, num_images), GenerationRecipe.model_validate(fields))

    @torch.inference_mode()
    def generate(self, emotion: EmotionQuery, seeds: Sequence[int], recipe: GenerationRecipe) -> Pictures:
        """One picture per seed.

        Raises:
            ValueError: as in a call.
        """
        self.check(emotion, recipe)
        draw = self._draw if recipe.content is None else self._transfer
        return Pictures(picture for chunk in batches(seeds, recipe.batch_size) for picture in draw(emotion, chunk, recipe))

    def check(self, emotion: EmotionQuery, recipe: GenerationRecipe) -> None:
        """Refuse what cannot be drawn, before anything is.

        Raises:
            ValueError: an unknown emotion, one that the training corpus lacked, a size or a content that does not fit the model.
        """
        self.clusters.mean(emotion)
        check_size(self, recipe)
        if recipe.content is not None:
            check_content(self.conditioner.text_encoder, recipe.content)

    def _draw(self, emotion: EmotionQuery, seeds: Sequence[int], recipe: GenerationRecipe) -> list[Image.Image]:
        condition = self._condition(emotion, seeds)
        self._open_gate(self.trained.gate(emotion, recipe.intensity), len(seeds), recipe)
        base, negative = self._base_for(recipe), self._encode(recipe.negative_prompt).expand_as(condition)
        pictures: list[Image.Image] = base(
            prompt_embeds=condition, negative_prompt_embeds=negative, **denoising_arguments(base, recipe, seeds)
        ).images
        return pictures

    def _transfer(self, emotion: EmotionQuery, seeds: Sequence[int], recipe: GenerationRecipe) -> list[Image.Image]:
        condition = self._condition(emotion, seeds, recipe.transfer.spread)
        nothing, content = (self._encode(text).expand_as(condition) for text in (recipe.negative_prompt, recipe.content or ""))
        self.hilora.unmerge()
        self._merged_gate = None
        transfer = Transfer(self._base_for(recipe), self.hilora, self.trained.gate(emotion, recipe.intensity), recipe)
        return transfer.draw(TransferConditions(nothing, content, condition), seeds)

    def _condition(self, emotion: EmotionQuery, seeds: Sequence[int], spread: float = 1.0) -> Tensor:
        """What the conditional branch attends to [n, positions, width].

        Each picture's visual embedding is drawn from its seed, `spread` times as far from the cluster's middle as the cluster reaches.
        """
        drawn = [self.clusters.sample(emotion, self.visual_seed(seed)) for seed in seeds]
        visual = torch.stack(drawn if spread == 1 else [torch.lerp(self.clusters.mean(emotion), each, spread) for each in drawn])
        emotions = emotion_weights(emotion).expand(len(seeds), -1)
        place = {"device": self.conditioner.device, "dtype": self.conditioner.dtype}
        return self.conditioner(emotions.to(**place), visual.to(**place)).sequence.to(self.unet.dtype)

    def _encode(self, text: str) -> Tensor:
        return self.conditioner.text_encoder.encode_prompts([text]).sequence.to(self.unet.dtype)

    def _base_for(self, recipe: GenerationRecipe) -> StableDiffusionPipeline:
        base = self.base
        use_scheduler(base, self.scheduler, recipe)
        return base

    @staticmethod
    def visual_seed(seed: int) -> int:
        """Seed of an image's visual embedding: another stream than that of its starting noise."""
        return seed ^ VISUAL_STREAM

    def _open_gate(self, gate: Tensor, count: int, recipe: GenerationRecipe) -> None:
        """Merge the gate when both guidance branches share it, else set it for the conditional half of the batch only."""
        shared = recipe.unconditional_gates == "same" or recipe.guidance_scale <= 1
        if shared and self._merges and gate.any():
            if self._merged_gate is None or not torch.equal(self._merged_gate, gate):
                self.hilora.merge(gate)
                self._merged_gate = gate
            return
        self.hilora.unmerge()
        self._merged_gate = None
        if not gate.any():
            self.hilora.set_gates(None)
        elif shared:
            self.hilora.set_gates(gate.expand(count, -1))
        else:
            self.hilora.set_gates(torch.cat([torch.zeros(count, len(gate)), gate.expand(count, -1)]))
