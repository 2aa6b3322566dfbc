"""The extractors of the paper's evaluation, put together from weight files."""

from pydantic import BaseModel, ConfigDict, Field

from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.evaluation.clip_embedder import ScaledClipEmbedder, TwiceRescaledClipEmbedder
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.paper.classifiers import AlexNetTrunk, ResNetContent
from coemogen_core.evaluation.paper.inception import InceptionFid
from coemogen_core.evaluation.probes import HeadProbe
from coemogen_core.storage.model_source import ModelName
from schemas.choices import EvaluationProtocol


class PaperExtractors(BaseModel):
    """Where the weights of the paper's networks lie; each is a path or URI of a file by `torch.save`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inception: str = Field(min_length=1, description="FID: Inception-V3 of torch-fidelity, pytorch-fid or torchvision")
    alexnet: str = Field(min_length=1, description="LPIPS: torchvision's AlexNet")
    lpips_linear: str = Field(min_length=1, description="LPIPS: linear weights, alex.pth of the lpips package")
    imagenet_resnet50: str = Field(min_length=1, description="Sem-C: torchvision's ResNet-50")
    places365_resnet50: str = Field(min_length=1, description="Sem-C: Places365's resnet50_places365.pth.tar")
    emotion_head: str = Field(min_length=1, description="Emo-A: EmoGen's clip_emotion_classifier.pth, read from `clip`")
    clip: ModelName = Field(default="openai/clip-vit-large-patch14", description="Sem-D, CMMD and Emo-A: folder or hub id of a CLIP")
    clip_revision: str | None = Field(default=None, description="commit of a hub model; none = its main branch")
    lpips_side: int = Field(default=256, ge=64, le=512, description="pictures are brought to this many pixels square for LPIPS")


def paper_extractors(paths: PaperExtractors, device: str = "cpu", protocol: EvaluationProtocol = "corrected") -> ExtractorSet:
    """The paper's networks.

    Raises:
        FileNotFoundError: a file is missing.
        OSError: there is no such CLIP.
        ValueError: a file holds something else; the message names it and what is expected.
    """
    encoder = load_encoder(EncoderRecipe(model=paths.clip, revision=paths.clip_revision, unit_length=False))
    return ExtractorSet(
        fid=InceptionFid(paths.inception, protocol, device),
        perceptual=AlexNetTrunk(paths.alexnet, paths.lpips_linear, paths.lpips_side, protocol, device),
        emotion_probes=(HeadProbe(paths.emotion_head, encoder),),
        content=ResNetContent(paths.imagenet_resnet50, paths.places365_resnet50, device),
        clip=(TwiceRescaledClipEmbedder if protocol == "emogen" else ScaledClipEmbedder)(encoder, encoder.encoder_id),
    )
