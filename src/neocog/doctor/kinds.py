"""All kinds of finding of the data doctor: severity, sentence, and what Neocog does about it."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from neocog.modalities.audio.waveform import LENGTH_UNKNOWN
from neocog.modalities.image.image_folder import EXTENSIONS
from neocog.modalities.image.pages import FIRST_ALONE, HINT

__all__ = ["BY_NAME", "KINDS", "Kind", "Severity"]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding.

    An error stops training, or makes its figures wrong. A warning costs accuracy, or is probably a mistake. A note
    is worth knowing. In `says`, {n} is the count, and (one|many) the word that agrees with it.
    """

    name: str
    says: str
    does: str
    """The effect in Neocog, and what the user can do."""
    severity: Severity
    skip: str = ""
    """The reason in the skip list; empty if samples of this kind are not put there."""


error, warning = partial(Kind, severity="error"), partial(Kind, severity="warning")
note = partial(Kind, severity="note")


def unusable(name: str, says: str, skip: str, fix: str = "") -> Kind:
    """A kind of sample on which training stops, and which goes on the skip list."""
    return error(name, says, f"Training stops at it. On the skip list. {fix}".rstrip(), skip=skip)


# fmt: off
# The set as a whole
CANNOT_OPEN = error("cannot-open", "the data set can't be opened",
    "Training stops with the same message. Only the folder itself could be examined.")
EMPTY_SPLIT = error("empty-split", "{n} split(|s) (has|have) no samples",
    "Training refuses an empty split. Fill it, or remove its folder.")
ONE_CLASS = error("one-class", "there are fewer than two classes",
    "Training needs at least two classes. Give each class its own folder or label.")
CLASS_EMPTY = error("class-without-records", "{n} class(|es) (has|have) no sample at all",
    "Training refuses a class without samples. Add some, or remove the class.")
CLASS_UNDRAWN = warning("class-not-annotated", "{n} class(|es) (is|are) not annotated in any image",
    "It remains a class, but nothing can be learned about it. Annotate it, or remove it from the list of classes.")
LABEL_ABSENT = warning("label-never-set", "{n} label(|s) (occurs|occur) in no sample",
    "It remains a label, but nothing can be learned about it. Leave out its column, or add samples.")
NO_LABEL_TRAINED = error("no-label-in-training", "no training sample has any label",
    "Training refuses it. Check the columns of labels.")
VALUES = note("values", "{n} number(|s) (is|are) to be predicted", "Predicted in the unit of the data.")
VALUE_CONSTANT = error("value-constant", "{n} number(|s) to predict (is|are) the same in all training samples",
    "Training refuses it. Leave out its column: --data.label_column NAME,NAME.")
VALUE_OUTLIER = warning("value-far-off", "{n} sample(|s) (has|have) a number far from those of all others",
    "Used as is. Check the unit, the decimal point, and codes for missing values such as -999. "
    "--loss.kind l1 gives such samples less weight.")
VALUE_BEYOND = note("value-beyond-training",
    "{n} sample(|s) of other splits (has|have) a number outside the range of the training split",
    "Used as is. Networks rarely predict beyond the numbers that they were trained on.")
VALUE_MISSING = note("value-missing", "{n} number(|s) or label(|s) (is|are) not known in some samples",
    "Left out of loss and metrics; what is known of these samples is used.")
CLASS_UNTRAINED = error("class-not-in-training", "{n} class(|es) (is|are) evaluated but never trained",
    "Training continues, but every sample of such a class will be misclassified. Move some into the training split.")
CLASS_MISSING = warning("class-missing", "{n} time(|s) a class is missing from a split",
    "Training continues; a class that a split lacks is not evaluated there.")
CLASS_TINY = warning("class-tiny", "{n} class(|es) (has|have) fewer than {least} training samples",
    "Training continues. Add samples: the figures of so small a class say little.")
IMBALANCE = warning("imbalance", "the largest class has {ratio} times the training samples of the smallest",
    "Training uses the samples as they are. Look at the figures of each class, not only at accuracy.")
SHIFTED_CLASSES = note("classes-shifted", "{n} split(|s) (has|have) a different class distribution than training",
    "No action. Accuracy there will differ from that of training.")
LABEL_RANGE = error("label-out-of-range", "{n} label(|s) (is|are) not a class",
    "Training stops at it. Fix the label, or name the class.")
NO_LABEL = note("no-label", "{n} sample(|s) (carries|carry) no label at all", "Learned as having none of the classes.")
SPLIT_TWICE = error("record-in-two-splits", "{n} sample(|s) (is|are) listed in more than one split",
    "Figures measured on them are too optimistic. List each in one split.")
SPLIT_NONE = note("record-in-no-split", "{n} sample(|s) (belongs|belong) to no split", "Never used.")
REPEATED_KEY = error("repeated-key", "{n} sample(|s) (has|have) the name of another",
    "They share their randomness and can't be told apart. Rename them.")

# The folder and its names
STRAY_IMAGE = warning("stray-picture", "{n} image(|s) (is|are) beside the class folders",
    "Ignored. Move each into the folder of its class.")
STRANGER = note("no-picture-name", "{n} file(|s) in class folders (has|have) no image suffix",
    f"Ignored. Image suffixes are {', '.join(sorted(EXTENSIONS))}.")
MISNAMED = warning("picture-by-another-name", "{n} file(|s) (is an image|are images) without an image suffix",
    "Ignored. Rename it with the suffix of its format.")
CLUTTER = note("clutter", "{n} hidden file(|s) or folder(|s) (was|were) left by programs", "Ignored.")
EMPTY_FOLDER = warning("empty-class-folder", "{n} class folder(|s) (has|have) no image",
    "Counted as a class without samples in that split.")
NO_ENTRY = error("folder-unreadable", "{n} folder(|s) can't be listed",
    "Its content can't be read. Grant read permission.")
LINK_OUT = warning("link-outside", "{n} link(|s) (leads|lead) out of the data folder",
    "The target may be read, but is lost when the folder is copied. Put the files themselves there.")
LINK_BROKEN = error("link-broken", "{n} link(|s) (leads|lead) nowhere",
    "Training stops at one with an image suffix. Fix or remove it.")
LINK_LOOP = note("link-loop", "{n} link(|s) (leads|lead) back to a folder around it", "Not followed.")
CLASSES_CASE = warning("classes-differ-by-case", "{n} class name(|s) (differs|differ) from another only in case",
    "Learned as separate classes. They are probably one: rename the folder or label.")
CLASSES_SPELLING = warning("classes-differ-by-spelling",
    "{n} class name(|s) (differs|differ) from another only in spaces, hyphens or Unicode form",
    "Learned as separate classes. They are probably one: rename the folder or label.")
KEYS_CASE = note("names-differ-by-case", "{n} sample name(|s) (differs|differ) from another only in case",
    "Read as two. On Windows and macOS one would overwrite the other.")
NAME_BYTES = note("name-not-unicode", "{n} sample name(|s) (is|are) not valid Unicode",
    "Read anyway, and shown with escapes. Other programs may fail on them.")
GROUP_LEAK = warning("source-in-two-splits", "{n} source(|s) (seems|seem) to be in more than one split",
    "No action. Samples of one source (a patient, a film, a speaker) are alike: figures are too optimistic "
    "unless each source is in one split.")
GROUPS_UNDIVIDED = note("sources-undivided",
    "samples seem to come from {n} source(|s) with several each, but the set has no splits",
    "Neocog splits by sample. If samples of one source are alike, make folders train, val and test by source.")

# Reading
UNREADABLE = unusable("unreadable", "{n} sample(|s) can't be read", "can't be read")
ZERO_BYTES = unusable("zero-bytes", "{n} file(|s) (has|have) 0 bytes", "empty")

# Images
NOT_AN_IMAGE = unusable("not-a-picture",
    "{n} file(|s) with an image's name (is not an image|are not images) that Neocog reads", "not an image")
DAMAGED = unusable("damaged", "{n} image(|s) (is|are) truncated or damaged", "truncated or damaged")
TOO_LARGE = unusable("too-large", "{n} image(|s) (has|have) more pixels than are allowed", "too large",
    "Shrink it, or raise --image.max_pixels in training.")
TOO_SMALL = unusable("too-small", "{n} image(|s) (is|are) less than 2 pixels wide or high", "too small")
UNUSUAL_PIXELS = unusable("unusual-pixels", "{n} image(|s) (is|are) stored in a way that Neocog does not read",
    "stored in a way that is not read", "Convert it as the example says.")
CMYK = error("cmyk", "{n} image(|s) (is|are) CMYK",
    "Training stops at it, unless --image.convert true accepts a conversion to RGB without a colour profile.")
TRANSPARENT = error("transparent", "{n} image(|s) (is|are) transparent in places",
    "Training stops at it, unless --image.convert true accepts a white background.")
DEEP_COLOUR = error("deep-colour", "{n} colour image(|s) (has|have) 16 bits in each channel",
    "Training stops at it, unless --image.convert true accepts the upper 8.")
OTHER_FORMAT = note("content-not-as-named", "{n} image(|s) (has|have) the suffix of another format",
    "Read by content, so nothing is lost. Other programs may fail on them.")
TURNED = note("exif-turned", "{n} image(|s) (is|are) stored rotated, with an EXIF orientation",
    "Rotated upright in training and prediction alike. Masks and boxes must match the upright image.")
FRAMES = warning("several-frames", FIRST_ALONE, HINT)
CONSTANT_IMAGE = warning("constant-picture", "{n} image(|s) (is|are) a single colour",
    "Used as is. It shows nothing and should probably be removed.")
MIXED_SIZES = note("sizes-differ", "images have {n} sizes, from {low} to {high}",
    "All are resized to one size, as --image.resize says.")
MIXED_CHANNELS = note("channels-differ", "{n} image(|s) (is|are) {rare}, the others {usual}",
    "Grey is read as RGB if any image is in colour. If it correlates with the class, the network learns that.")
MIXED_DEPTHS = note("depths-differ", "{n} image(|s) (has|have) {rare} bits, the others {usual}",
    "All are read as 16 bits, the others scaled. If it correlates with the class, the network learns that.")
ASPECT = warning("unusual-shape", "{n} image(|s) (has|have) a far more extreme aspect ratio than most",
    "Cropped or distorted more than the others (--image.resize). Look at them.")
MUCH_SMALLER = note("much-smaller", "{n} image(|s) (is|are) less than a quarter as wide or high as most",
    "Enlarged. Check whether they are thumbnails.")

# The same thing twice
DUPLICATE_ACROSS = error("duplicate-across-splits", "{n} sample(|s) (is|are) equal to one in another split",
    "Figures measured on them are too optimistic. On the skip list. The copy in test is kept, otherwise the one "
    "in val.", skip="duplicate of")
DUPLICATE_WITHIN = warning("duplicate-within-split", "{n} sample(|s) (repeats|repeat) another of the same split",
    "Each copy is used.")
CONFLICT = error("labels-contradict", "{n} sample(|s) (is|are) equal to one with another label",
    "No network can learn both. All of them are on the skip list.", skip="labelled otherwise in")
VALUES_DIFFER = warning("numbers-differ", "{n} sample(|s) (is|are) equal to one with another number",
    "All are used, and none can be predicted better than their mean. Check them, or keep one of each.")
NEAR_ACROSS = warning("near-duplicate-across-splits", "{n} image(|s) nearly (equals|equal) one in another split",
    "Used as is. Look at them: if they show the same thing, figures are too optimistic.")
NEAR_WITHIN = note("near-duplicate-within-split", "{n} image(|s) nearly (equals|equal) another of the same split",
    "Used as is.")
NEAR_CONFLICT = warning("near-duplicate-other-label", "{n} image(|s) nearly (equals|equal) one with another label",
    "Used as is. Look at them: one label is probably wrong.")
NEAR_CUT = note("near-duplicates-not-all-searched",
    "too many images are alike: the search for near duplicates was stopped early",
    "There may be more near duplicates than counted.")

# Masks and boxes
MASK_VALUE = error("mask-value-without-class", "{n} mask(|s) (has|have) a value that is not a class",
    "Training stops at it. Name the class, or set those pixels to 255, which is ignored.")
ANNOTATION_SIZE = error("annotation-of-another-size", "{n} annotation(|s) (has|have) another size than the image",
    "Training stops at it. Masks and boxes must match the upright image.")
ANNOTATION_UNREADABLE = unusable("annotation-unreadable", "{n} annotation(|s) can't be read",
    "its annotation can't be read")
MASK_EMPTY = warning("mask-unlabelled", "{n} mask(|s) (has|have) no labelled pixel", "Nothing is learned from it.")
BOX_OUTSIDE = warning("box-outside", "{n} box(|es) (extends|extend) beyond the image", "Clipped at the image's edge.")
BOX_EMPTY = warning("box-empty", "{n} box(|es) (has|have) no area", "Left out.")
BOX_REPEATED = warning("box-repeated", "{n} box(|es) (occurs|occur) twice in one image with the same label",
    "Counts twice in training.")
NO_OBJECTS = note("no-objects", "{n} image(|s) (has|have) no objects", "Learned as background.")
ANNOTATION_FAULT = warning("annotation-fault", "{n} annotation(|s) (is|are) faulty", "Read as far as possible.")

# Signals
SIGNAL_EMPTY = unusable("signal-empty", "{n} signal(|s) (has|have) no values", "empty")
ALL_NAN = unusable("signal-all-nan", "{n} signal(|s) (holds|hold) only NaN", "only NaN")
CHANNEL_NAN = unusable("channel-all-nan", "{n} signal(|s) (has|have) a channel of only NaN", "a channel of only NaN")
INFINITE = unusable("signal-infinite", "{n} signal(|s) (holds|hold) infinite values", "infinite values",
    "Fix them, or mark them as missing with NaN.")
PARTLY_NAN = warning("signal-partly-nan", "{n} signal(|s) (has|have) missing values, stored as NaN",
    "Filled by linear interpolation, unless --signal.missing says otherwise.")
CONSTANT_SIGNAL = warning("signal-constant", "{n} signal(|s) (is|are) constant",
    "Used as is. Probably nothing was measured.")
DEAD_CHANNEL = note("channel-constant", "{n} signal(|s) (has|have) a channel that is constant",
    "Used as is. A sensor may have been off.")
MIXED_LENGTHS = note("lengths-differ", "{what} have different lengths, from {low} to {high}",
    "Cropped or padded to one length. If it correlates with the class, the network may learn only that.")
SIGNAL_CHANNELS = error("signal-channels-differ", "{n} signal(|s) (has|have) {rare}, the others {usual}",
    "Training needs the same channels in each.")

# Sound
SOUND_UNREADABLE = unusable("sound-unreadable", "{n} recording(|s) can't be decoded", "can't be decoded")
SOUND_EMPTY = unusable("sound-empty", "{n} recording(|s) (has|have) no samples", "empty")
SOUND_LONG = unusable("sound-too-long", "{n} recording(|s) (is|are) longer than 600 seconds", "too long",
    "Trim it, or raise --audio.max_seconds in training.")
SOUND_INFINITE = unusable("sound-not-finite", "{n} recording(|s) (holds|hold) infinite values or NaN",
    "infinite values or NaN")
SOUND_STREAMED = note("sound-length-unknown", LENGTH_UNKNOWN,
    "Nothing is lost. The file was probably written to a pipe, or the recording was cut off.")
SILENT = warning("sound-silent", "{n} recording(|s) (is|are) silent: nothing is above -60 dB of full scale",
    "Used as is. Probably nothing was recorded.")
CLIPPED = warning("sound-clipped", "{n} recording(|s) (is|are) clipped: loud parts are cut off at full scale",
    "Used as is.")
MIXED_RATES = note("rates-differ", "{n} recording(|s) (has|have) a sampling rate other than {usual} Hz: {rare}",
    "All are resampled to one rate. If it correlates with the class, the network may learn only that.")
SOUND_CHANNELS = note("sound-channels-differ", "{n} recording(|s) (has|have) {rare}, the others {usual}",
    "All are mixed to one channel.")

# Texts
TEXT_EMPTY = warning("text-empty", "{n} text(|s) (is|are) empty", "It has nothing to learn from. On the skip list.",
    skip="empty")
TEXT_NO_LETTERS = note("text-without-letters", "{n} text(|s) (has|have) neither letters nor digits", "Used as is.")
TEXT_BROKEN = warning("text-broken-encoding", "{n} text(|s) (holds|hold) replacement or control characters",
    "Used as is. The text was probably decoded with the wrong encoding at some point.")
TEXT_LONG = note("text-much-longer", "{n} text(|s) (is|are) more than ten times as long as most",
    "Truncated at the network's maximum length.")
TEXT_NEAR = note("text-nearly-repeated", "{n} text(|s) (equals|equal) another except for case, spaces and punctuation",
    "Used as is.")

# Boards
GAME_UNPLAYABLE = warning("game-unplayable", "{n} game(|s) can't be replayed", "Left out as a whole. Fix or remove it.")
BOARD_SIZES = error("boards-differ", "{n} board(|s) (has|have) another shape than most",
    "Training needs boards of one shape.")
# fmt: on

KINDS: tuple[Kind, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Kind))
"""All kinds, in the order in which they are shown."""
BY_NAME = {kind.name: kind for kind in KINDS}
