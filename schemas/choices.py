"""Words that recipes, tables and the command line let a person choose from. Imports nothing, so that `coemogen --help` answers at once."""

from typing import Literal, get_args

EmotionName = Literal["amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness"]
EMOTION_NAMES: tuple[EmotionName, ...] = get_args(EmotionName)
"""In the order that every table, tensor and report uses (EmoSet's and EmoGen's class order)."""
Layout = Literal["emoset", "wikiart", "image_folder", "hf_parquet", "webdataset"]
"""How a source's pictures lie."""
ExportLayout = Literal["webdataset", "clip-retrieval"]
"""How a copy of a published dataset lies."""
EvaluationProtocol = Literal["corrected", "emogen"]
"""How images are preprocessed and paired: as it should be, or with the faults of EmoGen's public code (docs/metrics.md)."""
SchedulerName = Literal["base", "ddim", "dpmsolver++", "euler", "euler a"]
"""`euler a` is ancestral: it draws fresh noise at every step, from each picture's own seed."""
Precision = Literal["float32", "bfloat16", "float16"]
"""Number format of a model."""
LabelOrigin = Literal["source", "classifier"]
"""Who said what emotion a picture has: the people who labelled its source, or a classifier that looked at it."""
Device = Literal["auto", "cpu", "cuda", "mps"]
"""`auto` is the GPU where there is one, else the CPU."""
