"""All kinds of finding of the data doctor: severity, sentence, and what Neocog does about it."""

from dataclasses import dataclass
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
    severity: Severity
    says: str
    does: str
    """The effect in Neocog, and what the user can do."""
    skip: str = ""
    """The reason in the skip list; empty if records of this kind are not put there."""


def unusable(name: str, says: str, skip: str, fix: str = "") -> Kind:
    """A kind of record on which training stops, and which goes on the skip list."""
    return Kind(name, "error", says, f"Training stops at it. On the skip list. {fix}".rstrip(), skip)


# fmt: off
# The set as a whole
CANNOT_OPEN = Kind("cannot-open", "error", "the data set can't be opened",
    "Training stops with the same message. Only the folder itself could be examined.")
EMPTY_SPLIT = Kind("empty-split", "error", "{n} split(|s) (has|have) no records",
    "Training refuses an empty split. Fill it, or remove its folder.")
ONE_CLASS = Kind("one-class", "error", "there are fewer than two classes",
    "Training needs at least two classes. Give each class its own folder or label.")
CLASS_EMPTY = Kind("class-without-records", "error", "{n} class(|es) (has|have) no record at all",
    "Training refuses a class without records. Add some, or remove the class.")
CLASS_UNDRAWN = Kind("class-not-annotated", "warning", "{n} class(|es) (is|are) not annotated in any image",
    "It remains a class, but nothing can be learned about it. Annotate it, or remove it from the list of classes.")
CLASS_UNTRAINED = Kind("class-not-in-training", "error", "{n} class(|es) (is|are) evaluated but never trained",
    "Training continues, but every sample of such a class will be misclassified. Move some into the training split.")
CLASS_MISSING = Kind("class-missing", "warning", "{n} time(|s) a class is missing from a split",
    "Training continues; a class that a split lacks is not evaluated there.")
CLASS_TINY = Kind("class-tiny", "warning", "{n} class(|es) (has|have) fewer than {least} training records",
    "Training continues. Add samples: the figures of so small a class say little.")
IMBALANCE = Kind("imbalance", "warning", "the largest class has {ratio} times the training records of the smallest",
    "Training uses the samples as they are. Look at the figures of each class, not only at accuracy.")
SHIFTED_CLASSES = Kind("classes-shifted", "note",
    "{n} split(|s) (has|have) a different class distribution than training",
    "No action. Accuracy there will differ from that of training.")
LABEL_RANGE = Kind("label-out-of-range", "error", "{n} label(|s) (is|are) not a class",
    "Training stops at it. Fix the label, or name the class.")
NO_LABEL = Kind("no-label", "note", "{n} record(|s) (carries|carry) no label at all",
    "Learned as having none of the classes.")
SPLIT_TWICE = Kind("record-in-two-splits", "error", "{n} record(|s) (is|are) listed in more than one split",
    "Figures measured on them are too optimistic. List each in one split.")
SPLIT_NONE = Kind("record-in-no-split", "note", "{n} record(|s) (belongs|belong) to no split", "Never used.")
REPEATED_KEY = Kind("repeated-key", "error", "{n} record(|s) (has|have) the name of another",
    "They share their randomness and can't be told apart. Rename them.")

# The folder and its names
STRAY_IMAGE = Kind("stray-picture", "warning", "{n} image(|s) (is|are) beside the class folders",
    "Ignored. Move each into the folder of its class.")
STRANGER = Kind("no-picture-name", "note", "{n} file(|s) in class folders (has|have) no image suffix",
    f"Ignored. Image suffixes are {', '.join(sorted(EXTENSIONS))}.")
MISNAMED = Kind("picture-by-another-name", "warning", "{n} file(|s) (is an image|are images) without an image suffix",
    "Ignored. Rename it with the suffix of its format.")
CLUTTER = Kind("clutter", "note", "{n} hidden file(|s) or folder(|s) (was|were) left by programs", "Ignored.")
EMPTY_FOLDER = Kind("empty-class-folder", "warning", "{n} class folder(|s) (has|have) no image",
    "Counted as a class without samples in that split.")
NO_ENTRY = Kind("folder-unreadable", "error", "{n} folder(|s) can't be listed",
    "Its content can't be read. Grant read permission.")
LINK_OUT = Kind("link-outside", "warning", "{n} link(|s) (leads|lead) out of the data folder",
    "The target may be read, but is lost when the folder is copied. Put the files themselves there.")
LINK_BROKEN = Kind("link-broken", "error", "{n} link(|s) (leads|lead) nowhere",
    "Training stops at one with an image suffix. Fix or remove it.")
LINK_LOOP = Kind("link-loop", "note", "{n} link(|s) (leads|lead) back to a folder around it", "Not followed.")
CLASSES_CASE = Kind("classes-differ-by-case", "warning",
    "{n} class name(|s) (differs|differ) from another only in case",
    "Learned as separate classes. They are probably one: rename the folder or label.")
CLASSES_SPELLING = Kind("classes-differ-by-spelling", "warning",
    "{n} class name(|s) (differs|differ) from another only in spaces, hyphens or Unicode form",
    "Learned as separate classes. They are probably one: rename the folder or label.")
KEYS_CASE = Kind("names-differ-by-case", "note", "{n} record name(|s) (differs|differ) from another only in case",
    "Read as two. On Windows and macOS one would overwrite the other.")
NAME_BYTES = Kind("name-not-unicode", "note", "{n} record name(|s) (is|are) not valid Unicode",
    "Read anyway, and shown with escapes. Other programs may fail on them.")
GROUP_LEAK = Kind("source-in-two-splits", "warning", "{n} source(|s) (seems|seem) to be in more than one split",
    "No action. Samples of one source (a patient, a film, a speaker) are alike: figures are too optimistic "
    "unless each source is in one split.")
GROUPS_UNDIVIDED = Kind("sources-undivided", "note",
    "records seem to come from {n} source(|s) with several each, but the set has no splits",
    "Neocog splits by record. If samples of one source are alike, make folders train, val and test by source.")

# Reading
UNREADABLE = unusable("unreadable", "{n} record(|s) can't be read", "can't be read")
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
CMYK = Kind("cmyk", "error", "{n} image(|s) (is|are) CMYK",
    "Training stops at it, unless --image.convert true accepts a conversion to RGB without a colour profile.")
TRANSPARENT = Kind("transparent", "error", "{n} image(|s) (is|are) transparent in places",
    "Training stops at it, unless --image.convert true accepts a white background.")
DEEP_COLOUR = Kind("deep-colour", "error", "{n} colour image(|s) (has|have) 16 bits in each channel",
    "Training stops at it, unless --image.convert true accepts the upper 8.")
OTHER_FORMAT = Kind("content-not-as-named", "note", "{n} image(|s) (has|have) the suffix of another format",
    "Read by content, so nothing is lost. Other programs may fail on them.")
TURNED = Kind("exif-turned", "note", "{n} image(|s) (is|are) stored rotated, with an EXIF orientation",
    "Rotated upright in training and prediction alike. Masks and boxes must match the upright image.")
FRAMES = Kind("several-frames", "warning", FIRST_ALONE, HINT)
CONSTANT_IMAGE = Kind("constant-picture", "warning", "{n} image(|s) (is|are) a single colour",
    "Used as is. It shows nothing and should probably be removed.")
MIXED_SIZES = Kind("sizes-differ", "note", "images have {n} sizes, from {low} to {high}",
    "All are resized to one size, as --image.resize says.")
MIXED_CHANNELS = Kind("channels-differ", "note", "{n} image(|s) (is|are) {rare}, the others {usual}",
    "Grey is read as RGB if any image is in colour. If it correlates with the class, the network learns that.")
MIXED_DEPTHS = Kind("depths-differ", "note", "{n} image(|s) (has|have) {rare} bits, the others {usual}",
    "All are read as 16 bits, the others scaled. If it correlates with the class, the network learns that.")
ASPECT = Kind("unusual-shape", "warning", "{n} image(|s) (has|have) a far more extreme aspect ratio than most",
    "Cropped or distorted more than the others (--image.resize). Look at them.")
MUCH_SMALLER = Kind("much-smaller", "note", "{n} image(|s) (is|are) less than a quarter as wide or high as most",
    "Enlarged. Check whether they are thumbnails.")

# The same thing twice
DUPLICATE_ACROSS = Kind("duplicate-across-splits", "error", "{n} record(|s) (is|are) equal to one in another split",
    "Figures measured on them are too optimistic. On the skip list. The copy in test is kept, otherwise the one "
    "in val.", skip="duplicate of")
DUPLICATE_WITHIN = Kind("duplicate-within-split", "warning",
    "{n} record(|s) (repeats|repeat) another of the same split", "Each copy is used.")
CONFLICT = Kind("labels-contradict", "error", "{n} record(|s) (is|are) equal to one with another label",
    "No network can learn both. All of them are on the skip list.", skip="labelled otherwise in")
NEAR_ACROSS = Kind("near-duplicate-across-splits", "warning",
    "{n} image(|s) nearly (equals|equal) one in another split",
    "Used as is. Look at them: if they show the same thing, figures are too optimistic.")
NEAR_WITHIN = Kind("near-duplicate-within-split", "note",
    "{n} image(|s) nearly (equals|equal) another of the same split", "Used as is.")
NEAR_CONFLICT = Kind("near-duplicate-other-label", "warning",
    "{n} image(|s) nearly (equals|equal) one with another label",
    "Used as is. Look at them: one label is probably wrong.")
NEAR_CUT = Kind("near-duplicates-not-all-searched", "note",
    "too many images are alike: the search for near duplicates was stopped early",
    "There may be more near duplicates than counted.")

# Masks and boxes
MASK_VALUE = Kind("mask-value-without-class", "error", "{n} mask(|s) (has|have) a value that is not a class",
    "Training stops at it. Name the class, or set those pixels to 255, which is ignored.")
ANNOTATION_SIZE = Kind("annotation-of-another-size", "error",
    "{n} annotation(|s) (has|have) another size than the image",
    "Training stops at it. Masks and boxes must match the upright image.")
ANNOTATION_UNREADABLE = unusable("annotation-unreadable", "{n} annotation(|s) can't be read",
    "its annotation can't be read")
MASK_EMPTY = Kind("mask-unlabelled", "warning", "{n} mask(|s) (has|have) no labelled pixel",
    "Nothing is learned from it.")
BOX_OUTSIDE = Kind("box-outside", "warning", "{n} box(|es) (extends|extend) beyond the image",
    "Clipped at the image's edge.")
BOX_EMPTY = Kind("box-empty", "warning", "{n} box(|es) (has|have) no area", "Left out.")
BOX_REPEATED = Kind("box-repeated", "warning", "{n} box(|es) (occurs|occur) twice in one image with the same label",
    "Counts twice in training.")
NO_OBJECTS = Kind("no-objects", "note", "{n} image(|s) (has|have) no objects", "Learned as background.")
ANNOTATION_FAULT = Kind("annotation-fault", "warning", "{n} annotation(|s) (is|are) faulty", "Read as far as possible.")

# Signals
SIGNAL_EMPTY = unusable("signal-empty", "{n} signal(|s) (has|have) no values", "empty")
ALL_NAN = unusable("signal-all-nan", "{n} signal(|s) (holds|hold) only NaN", "only NaN")
CHANNEL_NAN = unusable("channel-all-nan", "{n} signal(|s) (has|have) a channel of only NaN", "a channel of only NaN")
INFINITE = unusable("signal-infinite", "{n} signal(|s) (holds|hold) infinite values", "infinite values",
    "Fix them, or mark them as missing with NaN.")
PARTLY_NAN = Kind("signal-partly-nan", "warning", "{n} signal(|s) (has|have) missing values, stored as NaN",
    "Filled by linear interpolation, unless --signal.missing says otherwise.")
CONSTANT_SIGNAL = Kind("signal-constant", "warning", "{n} signal(|s) (is|are) constant",
    "Used as is. Probably nothing was measured.")
DEAD_CHANNEL = Kind("channel-constant", "note", "{n} signal(|s) (has|have) a channel that is constant",
    "Used as is. A sensor may have been off.")
MIXED_LENGTHS = Kind("lengths-differ", "note", "{what} have different lengths, from {low} to {high}",
    "Cropped or padded to one length. If it correlates with the class, the network may learn only that.")
SIGNAL_CHANNELS = Kind("signal-channels-differ", "error", "{n} signal(|s) (has|have) {rare}, the others {usual}",
    "Training needs the same channels in each.")

# Sound
SOUND_UNREADABLE = unusable("sound-unreadable", "{n} recording(|s) can't be decoded", "can't be decoded")
SOUND_EMPTY = unusable("sound-empty", "{n} recording(|s) (has|have) no samples", "empty")
SOUND_LONG = unusable("sound-too-long", "{n} recording(|s) (is|are) longer than 600 seconds", "too long",
    "Trim it, or raise --audio.max_seconds in training.")
SOUND_INFINITE = unusable("sound-not-finite", "{n} recording(|s) (holds|hold) infinite values or NaN",
    "infinite values or NaN")
SOUND_STREAMED = Kind("sound-length-unknown", "note", LENGTH_UNKNOWN,
    "Nothing is lost. The file was probably written to a pipe, or the recording was cut off.")
SILENT = Kind("sound-silent", "warning", "{n} recording(|s) (is|are) silent: nothing is above -60 dB of full scale",
    "Used as is. Probably nothing was recorded.")
CLIPPED = Kind("sound-clipped", "warning", "{n} recording(|s) (is|are) clipped: loud parts are cut off at full scale",
    "Used as is.")
MIXED_RATES = Kind("rates-differ", "note", "{n} recording(|s) (has|have) a sampling rate other than {usual} Hz: {rare}",
    "All are resampled to one rate. If it correlates with the class, the network may learn only that.")
SOUND_CHANNELS = Kind("sound-channels-differ", "note", "{n} recording(|s) (has|have) {rare}, the others {usual}",
    "All are mixed to one channel.")

# Texts
TEXT_EMPTY = Kind("text-empty", "warning", "{n} text(|s) (is|are) empty",
    "It has nothing to learn from. On the skip list.", skip="empty")
TEXT_NO_LETTERS = Kind("text-without-letters", "note", "{n} text(|s) (has|have) neither letters nor digits",
    "Used as is.")
TEXT_BROKEN = Kind("text-broken-encoding", "warning", "{n} text(|s) (holds|hold) replacement or control characters",
    "Used as is. The text was probably decoded with the wrong encoding at some point.")
TEXT_LONG = Kind("text-much-longer", "note", "{n} text(|s) (is|are) more than ten times as long as most",
    "Truncated at the network's maximum length.")
TEXT_NEAR = Kind("text-nearly-repeated", "note",
    "{n} text(|s) (equals|equal) another except for case, spaces and punctuation", "Used as is.")

# Boards
GAME_UNPLAYABLE = Kind("game-unplayable", "warning", "{n} game(|s) can't be replayed",
    "Left out as a whole. Fix or remove it.")
BOARD_SIZES = Kind("boards-differ", "error", "{n} board(|s) (has|have) another shape than most",
    "Training needs boards of one shape.")
# fmt: on

KINDS: tuple[Kind, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Kind))
"""All kinds, in the order in which they are shown."""
BY_NAME = {kind.name: kind for kind in KINDS}
