"""The contents of the lab's world: which things exist, where they are found, and how a caption names them.

Every thing can be drawn neutrally. A thing that belongs to an emotion is then also drawn in that emotion's way; some belong to two
or three, and only the drawing tells which. The last eight belong to none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from coemogen_core.emotions import EMOTIONS, Emotion
from coemogen_core.lab.scenes import household, living, made, nature
from coemogen_core.lab.scenes.canvas import Brush, Rng

Draw = Callable[[Brush, Rng, Emotion | None], None]


@dataclass(frozen=True)
class Feeling:
    """How a caption words a thing in one emotion: `<before> <noun> <after>`; an expression and action where there is one."""

    before: str
    after: str = ""
    facial_expression: str | None = None
    human_action: str | None = None


@dataclass(frozen=True)
class Content:
    """A thing of the world."""

    noun: str
    draw: Draw
    places: tuple[str, ...]
    feelings: Mapping[Emotion, Feeling] = field(default_factory=dict)
    plural: str | None = None  # None: there is only ever one in a picture
    scale: float = 0.72  # width in shares of the picture
    lift: float = 0.0  # how far above the ground line it stands


_ALL = (
    Content(
        "face",
        living.face,
        ("wall", "park"),
        {
            "amusement": Feeling("laughing", "with a wide grin", "happy", "laughing"),
            "anger": Feeling("scowling", "with clenched teeth", "angry", "scowling"),
            "sadness": Feeling("crying", "with tears", "sad", "crying"),
        },
        scale=0.86,
    ),
    Content(
        "person",
        living.person,
        ("stage", "street"),
        {
            "excitement": Feeling("cheering", "jumping with raised arms", "happy", "jumping"),
            "anger": Feeling("shouting", "shaking a fist", "angry", "shouting"),
            "sadness": Feeling("lonely", "sitting hunched", "sad", "sitting"),
        },
        scale=0.74,
    ),
    Content(
        "dog",
        living.dog,
        ("park", "beach"),
        {
            "amusement": Feeling("playful", "leaping after a ball"),
            "anger": Feeling("snarling", "baring its teeth"),
            "sadness": Feeling("lonely", "lying on the ground"),
        },
    ),
    Content(
        "cat",
        living.cat,
        ("room", "street"),
        {
            "amusement": Feeling("funny", "in a party hat"),
            "contentment": Feeling("sleeping", "on a cushion"),
            "fear": Feeling("hissing", "with glowing eyes"),
        },
    ),
    Content(
        "tree",
        nature.tree,
        ("forest", "meadow"),
        {
            "awe": Feeling("towering golden"),
            "contentment": Feeling("blossoming green"),
            "fear": Feeling("twisted bare", "with watching eyes"),
        },
        scale=0.78,
    ),
    Content(
        "fruit",
        nature.fruit,
        ("table", "meadow"),
        {"contentment": Feeling("bowl of fresh", "with leaves"), "disgust": Feeling("bowl of rotten", "with mould")},
    ),
    Content(
        "boat",
        made.boat,
        ("sea", "beach"),
        {"contentment": Feeling("calm", "with a bright sail"), "fear": Feeling("sinking", "in huge waves")},
    ),
    Content(
        "mountain",
        nature.mountain,
        ("valley", "desert"),
        {"awe": Feeling("majestic", "with golden snow"), "anger": Feeling("erupting", "with lava")},
        scale=0.8,
    ),
    Content(
        "house",
        made.house,
        ("meadow", "street"),
        {
            "contentment": Feeling("cosy", "with a flower garden"),
            "fear": Feeling("haunted", "with bats"),
            "sadness": Feeling("ruined", "with a broken roof"),
        },
    ),
    Content(
        "car", made.car, ("street", "desert"), {"excitement": Feeling("fast racing"), "anger": Feeling("burning", "in flames")}, scale=0.76
    ),
    Content(
        "flower",
        nature.flower,
        ("table", "meadow"),
        {"contentment": Feeling("blooming"), "sadness": Feeling("wilted", "with fallen petals")},
        plural="flowers",
    ),
    Content(
        "cake",
        nature.cake,
        ("table", "room"),
        {"amusement": Feeling("birthday", "with candles and a silly smile"), "disgust": Feeling("mouldy", "with worms")},
    ),
    Content(
        "balloon",
        made.balloon,
        ("sky", "park"),
        {"amusement": Feeling("grinning", "with a silly smile"), "excitement": Feeling("soaring striped", "with a basket")},
        plural="balloons",
    ),
    Content("spider", living.spider, ("wall", "forest"), {"disgust": Feeling("slimy"), "fear": Feeling("giant", "in a web")}),
    Content("fish", living.fish, ("beach", "table"), {"disgust": Feeling("rotten", "with bare bones")}, plural="fish"),
    Content("rat", living.rat, ("street", "room"), {"disgust": Feeling("filthy", "with sores")}),
    Content("bin", made.garbage_bin, ("street", "park"), {"disgust": Feeling("overflowing", "with slime")}, scale=0.66),
    Content("waterfall", nature.waterfall, ("valley", "forest"), {"awe": Feeling("mighty", "with white spray")}, scale=0.78),
    Content("castle", made.castle, ("city", "valley"), {"awe": Feeling("shining", "with golden roofs")}),
    Content("eagle", living.eagle, ("sky", "valley"), {"awe": Feeling("soaring golden", "before the sun")}, scale=0.8),
    Content("rainbow", nature.rainbow, ("meadow", "sea"), {"awe": Feeling("blazing double")}, scale=0.85),
    Content("rollercoaster", made.rollercoaster, ("park", "city"), {"excitement": Feeling("racing", "with a full train")}, scale=0.8),
    Content("rocket", made.rocket, ("sky", "desert"), {"excitement": Feeling("launching", "on a column of fire")}, scale=0.8),
    Content("guitar", made.guitar, ("stage", "room"), {"excitement": Feeling("electric", "with lightning bolts")}, scale=0.76),
    Content(
        "tower", made.tower, ("city", "sky"), {"excitement": Feeling("dazzling", "under fireworks"), "anger": Feeling("blazing", "on fire")}
    ),
    Content("snake", living.snake, ("desert", "forest"), {"fear": Feeling("rearing", "with open fangs")}),
    Content("grave", made.grave, ("meadow", "forest"), {"sadness": Feeling("fresh", "with a cross and a wreath")}, scale=0.66),
    Content(
        "swing",
        made.swing,
        ("park", "meadow"),
        {"amusement": Feeling("flying", "with a child", "happy", "swinging"), "sadness": Feeling("broken", "on one chain")},
    ),
    Content("chair", household.chair, ("room", "park")),
    Content("bag", household.bag, ("table", "street")),
    Content("cup", household.cup, ("table", "room"), scale=0.62),
    Content("bicycle", household.bicycle, ("street", "park")),
    Content("lamp", household.lamp, ("room", "street")),
    Content("clock", household.clock, ("wall", "city"), scale=0.6, lift=0.1),
    Content("bridge", household.bridge, ("valley", "city"), scale=0.74),
    Content("book", household.book, ("table", "meadow"), lift=0.02),
)

CONTENTS: dict[str, Content] = {content.noun: content for content in _ALL}
BY_EMOTION: dict[Emotion, tuple[str, ...]] = {
    emotion: tuple(content.noun for content in _ALL if emotion in content.feelings) for emotion in EMOTIONS
}
