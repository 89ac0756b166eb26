"""All that the data doctor can find: each kind once, with how bad it is, its words, and what Neocog does about it."""

from dataclasses import dataclass
from typing import Literal

from neocog.modalities.audio.waveform import LENGTH_UNKNOWN
from neocog.modalities.image.folder import EXTENSIONS
from neocog.modalities.image.pages import FIRST_ALONE, HINT

__all__ = ["KINDS", "Kind", "Severity", "kind_named"]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that can be found.

    An error stops training, or makes its figures wrong. A warning costs accuracy, or is probably a mistake. A note
    should be known. In `says`, {n} stands for how many there are, and (one|many) for the word that goes with it.
    """

    name: str
    severity: Severity
    says: str
    does: str
    """What Neocog does about it, and what the user can do."""
    skip: str = ""
    """The reason that stands in the skip list, where its records are put there."""


SKIPPED = "On the skip list."

# fmt: off
# The set as a whole
CANNOT_OPEN = Kind(
    "cannot-open", "error", "the data set can't be opened",
    "Training stops with the same message. Nothing but the folder itself could be examined.",
)
EMPTY_SPLIT = Kind(
    "empty-split", "error", "{n} split(|s) (has|have) no records",
    "Training refuses an empty split. Fill it, or remove its folder.",
)
ONE_CLASS = Kind(
    "one-class", "error", "there are fewer than two classes",
    "Training refuses to classify into one class. Give each class a folder, or a label, of its own.",
)
CLASS_EMPTY = Kind(
    "class-without-records", "error", "{n} class(|es) (has|have) no record at all",
    "Training refuses a class without records. Add some, or remove the class.",
)
CLASS_UNDRAWN = Kind(
    "class-not-annotated", "warning", "{n} class(|es) (is|are) not annotated in any image",
    "Stays a class, of which nothing is learned. Annotate it, or remove it from the list of classes.",
)
CLASS_UNTRAINED = Kind(
    "class-not-in-training", "error", "{n} class(|es) (is|are) measured but never trained",
    "Training goes on; all records of such a class will be wrong. Move some of them to the training split.",
)
CLASS_MISSING = Kind(
    "class-missing", "warning", "{n} time(|s) a class is missing from a split",
    "Training goes on; nothing is measured for a class that a split lacks.",
)
CLASS_TINY = Kind(
    "class-tiny", "warning", "{n} class(|es) (has|have) fewer than {least} training records",
    "Training goes on. Add records; figures of such a class say little.",
)
IMBALANCE = Kind(
    "imbalance", "warning", "the largest class has {ratio} times the training records of the smallest",
    "Training resumes the records as they are. Look at each class's own figures, not at accuracy alone.",
)
SHIFTED_CLASSES = Kind(
    "classes-shifted", "note", "{n} split(|s) (has|have) other shares of classes than training",
    "Nothing. Accuracy there will differ from what training shows.",
)
LABEL_RANGE = Kind(
    "label-out-of-range", "error", "{n} label(|s) (is|are) no class",
    "Training stops at it. Mend the label, or name the class.",
)
NO_LABEL = Kind(
    "no-label", "note", "{n} record(|s) (carries|carry) no label at all",
    "Learned as having none of the classes.",
)
SPLIT_TWICE = Kind(
    "record-in-two-splits", "error", "{n} record(|s) (is|are) listed in more than one split",
    "Figures measured on them are too good. List each in one split.",
)
SPLIT_NONE = Kind(
    "record-in-no-split", "note", "{n} record(|s) (belongs|belong) to no split",
    "Never used.",
)
REPEATED_KEY = Kind(
    "repeated-key", "error", "{n} record(|s) (has|have) the name of another",
    "They share their randomness and can't be told apart. Name each differently.",
)

# The folder and its names
STRAY_PICTURE = Kind(
    "stray-picture", "warning", "{n} image(|s) (lies|lie) beside the folders of the classes",
    "Passed over. Move each into the folder of its class.",
)
STRANGER = Kind(
    "no-picture-name", "note", "{n} file(|s) in the classes' folders (is|are) not named as an image",
    f"Passed over. Read are {', '.join(sorted(EXTENSIONS))}.",
)
MISNAMED = Kind(
    "picture-by-another-name", "warning", "{n} file(|s) (holds|hold) an image, and (is|are) not named as one",
    "Passed over. Give it the ending of what it is.",
)
CLUTTER = Kind(
    "clutter", "note", "{n} hidden file(|s) or folder(|s) (was|were) left by programs",
    "Passed over.",
)
EMPTY_FOLDER = Kind(
    "empty-class-folder", "warning", "{n} class folder(|s) (holds|hold) no image",
    "Counted as a class without records there.",
)
NO_ENTRY = Kind(
    "folder-unreadable", "error", "{n} folder(|s) can't be listed",
    "What is in there is not seen. Allow reading.",
)
LINK_OUT = Kind(
    "link-outside", "warning", "{n} link(|s) (leads|lead) out of the data folder",
    "What it leads to may be read, and is missed when the folder is copied. Put the files themselves there.",
)
LINK_BROKEN = Kind(
    "link-broken", "error", "{n} link(|s) (leads|lead) nowhere",
    "Training stops at one that is named as an image. Mend or remove it.",
)
LINK_LOOP = Kind(
    "link-loop", "note", "{n} link(|s) (leads|lead) back to a folder around it",
    "Not followed.",
)
CLASSES_CASE = Kind(
    "classes-differ-by-case", "warning",
    "{n} class name(|s) (differs|differ) from another by upper and lower case alone",
    "Learned as classes of their own. Probably they are one: rename the folder or label.",
)
CLASSES_SPELLING = Kind(
    "classes-differ-by-spelling", "warning",
    "{n} class name(|s) (differs|differ) from another by spaces, hyphens or Unicode form alone",
    "Learned as classes of their own. Probably they are one: rename the folder or label.",
)
KEYS_CASE = Kind(
    "names-differ-by-case", "note", "{n} record name(|s) (differs|differ) from another by upper and lower case alone",
    "Read as two. On Windows and macOS the one would overwrite the other.",
)
NAME_BYTES = Kind(
    "name-not-unicode", "note", "{n} record name(|s) (is|are) no valid Unicode",
    "Read all the same, and shown with escapes. Other programs may fail at them.",
)
GROUP_LEAK = Kind(
    "source-in-two-splits", "warning", "{n} source(|s) (seems|seem) to be in more than one split",
    "Nothing. Records of one source (a patient, a film, a speaker) are alike: figures are too good unless it is kept "
    "in one split.",
)
GROUPS_UNDIVIDED = Kind(
    "sources-undivided", "note",
    "records seem to come from {n} source(|s) with several each, and the set has no splits",
    "Neocog divides by record. If records of one source are alike, make folders train, val and test by source.",
)

# Reading
UNREADABLE = Kind(
    "unreadable", "error", "{n} record(|s) can't be read",
    f"Training stops at it. {SKIPPED}", skip="can't be read",
)
ZERO_BYTES = Kind(
    "zero-bytes", "error", "{n} file(|s) (has|have) 0 bytes",
    f"Training stops at it. {SKIPPED}", skip="empty",
)

# Images
NOT_A_PICTURE = Kind(
    "not-a-picture", "error", "{n} file(|s) with an image's name (is not an image|are not images) that Neocog reads",
    f"Training stops at it. {SKIPPED}", skip="not an image",
)
DAMAGED = Kind(
    "damaged", "error", "{n} image(|s) (is|are) truncated or damaged",
    f"Training stops at it. {SKIPPED}", skip="truncated or damaged",
)
TOO_LARGE = Kind(
    "too-large", "error", "{n} image(|s) (has|have) more pixels than are allowed",
    f"Training stops at it. {SKIPPED} Shrink it, or raise --data.max_pixels in training.", skip="too large",
)
TOO_SMALL = Kind(
    "too-small", "error", "{n} image(|s) (is|are) less than 2 pixels wide or high",
    f"Training stops at it. {SKIPPED}", skip="too small",
)
UNUSUAL_PIXELS = Kind(
    "unusual-pixels", "error", "{n} image(|s) (is|are) stored in a way that Neocog does not read",
    f"Training stops at it. {SKIPPED} Convert it as the example says.", skip="stored in a way that is not read",
)
CMYK = Kind(
    "cmyk", "error", "{n} image(|s) (is|are) CMYK",
    "Training stops at it, unless --data.convert true accepts a conversion to RGB without a colour profile.",
)
TRANSPARENT = Kind(
    "transparent", "error", "{n} image(|s) (is|are) transparent in places",
    "Training stops at it, unless --data.convert true accepts a white background.",
)
DEEP_COLOUR = Kind(
    "deep-colour", "error", "{n} colour image(|s) (has|have) 16 bits in each channel",
    "Training stops at it, unless --data.convert true accepts the upper 8.",
)
OTHER_FORMAT = Kind(
    "content-not-as-named", "note", "{n} image(|s) (is|are) not of the format that the name says",
    "Read by content, so nothing is lost. Other programs may fail at them.",
)
TURNED = Kind(
    "exif-turned", "note", "{n} image(|s) (is|are) stored turned, with an EXIF orientation",
    "Turned upright in training and prediction alike. Masks and boxes must be of the upright image.",
)
FRAMES = Kind(
    "several-frames", "warning", FIRST_ALONE, HINT,
)
CONSTANT_PICTURE = Kind(
    "constant-picture", "warning", "{n} image(|s) (is|are) of one colour throughout",
    "Learned as it is. Nothing can be seen on it: probably it should go.",
)
MIXED_SIZES = Kind(
    "sizes-differ", "note", "images come in {n} sizes, from {low} to {high}",
    "All are resized to one size; --data.resize says how.",
)
MIXED_CHANNELS = Kind(
    "channels-differ", "note", "{n} image(|s) (is|are) {rare}, the others {usual}",
    "Grey is read as RGB where one image has colours. If it goes with the class, the network learns that.",
)
MIXED_DEPTHS = Kind(
    "depths-differ", "note", "{n} image(|s) (has|have) {rare} bits, the others {usual}",
    "All are read as 16 bits, the others scaled. If it goes with the class, the network learns that.",
)
ASPECT = Kind(
    "unusual-shape", "warning", "{n} image(|s) (is|are) far wider or higher than most",
    "Cropped or distorted more than the others, as --data.resize says. Look at them.",
)
MUCH_SMALLER = Kind(
    "much-smaller", "note", "{n} image(|s) (is|are) less than a quarter as wide or high as most",
    "Enlarged. Look whether they are thumbnails.",
)

# The same thing twice
DUPLICATE_ACROSS = Kind(
    "duplicate-across-splits", "error", "{n} record(|s) (is|are) equal to one in another split",
    f"Figures measured on them are too good. {SKIPPED} The copy in test is kept, or else the one in val.",
    skip="duplicate of",
)
DUPLICATE_WITHIN = Kind(
    "duplicate-within-split", "warning", "{n} record(|s) (repeats|repeat) another of the same split",
    "Used as often as they are there.",
)
CONFLICT = Kind(
    "labels-contradict", "error", "{n} record(|s) (is|are) equal to one with another label",
    f"No network can learn both. All of them: {SKIPPED.lower()}", skip="labelled otherwise in",
)
NEAR_ACROSS = Kind(
    "near-duplicate-across-splits", "warning", "{n} image(|s) nearly (equals|equal) one in another split",
    "Used as they are. Look at them: if they show the same thing, figures are too good.",
)
NEAR_WITHIN = Kind(
    "near-duplicate-within-split", "note", "{n} image(|s) nearly (equals|equal) another of the same split",
    "Used as they are.",
)
NEAR_CONFLICT = Kind(
    "near-duplicate-other-label", "warning", "{n} image(|s) nearly (equals|equal) one with another label",
    "Used as they are. Look at them: one label is probably wrong.",
)
NEAR_CUT = Kind(
    "near-duplicates-not-all-searched", "note",
    "so many images are alike that the search for near duplicates was cut",
    "There may be more near duplicates than were counted.",
)

# Masks and boxes
MASK_VALUE = Kind(
    "mask-value-without-class", "error", "{n} mask(|s) (has|have) a value that is not a class",
    "Training stops at it. Name the class, or set those places to 255, which is not scored.",
)
ANNOTATION_SIZE = Kind(
    "annotation-of-another-size", "error", "{n} annotation(|s) (is|are) not of the size of the image",
    "Training stops at it. Masks and boxes are those of the upright image.",
)
ANNOTATION_UNREADABLE = Kind(
    "annotation-unreadable", "error", "{n} annotation(|s) can't be read",
    f"Training stops at it. {SKIPPED}", skip="its annotation can't be read",
)
MASK_EMPTY = Kind(
    "mask-unlabelled", "warning", "{n} mask(|s) (has|have) no labelled place",
    "Nothing is learned from it.",
)
BOX_OUTSIDE = Kind(
    "box-outside", "warning", "{n} box(|es) (reaches|reach) out of the image",
    "Cut at the image's edge.",
)
BOX_EMPTY = Kind(
    "box-empty", "warning", "{n} box(|es) (has|have) no area",
    "Left out.",
)
BOX_REPEATED = Kind(
    "box-repeated", "warning", "{n} box(|es) (stands|stand) twice in one image, with the same label",
    "Learned twice.",
)
NO_OBJECTS = Kind(
    "no-objects", "note", "{n} image(|s) (has|have) no objects",
    "Learned as background.",
)
ANNOTATION_FAULT = Kind(
    "annotation-fault", "warning", "{n} annotation(|s) (is|are) faulty",
    "Read as far as it goes.",
)

# Signals
SIGNAL_EMPTY = Kind(
    "signal-empty", "error", "{n} signal(|s) (has|have) no values",
    f"Training stops at it. {SKIPPED}", skip="empty",
)
ALL_NAN = Kind(
    "signal-all-nan", "error", "{n} signal(|s) (holds|hold) no number at all",
    f"Training stops at it. {SKIPPED}", skip="no number in it",
)
CHANNEL_NAN = Kind(
    "channel-all-nan", "error", "{n} signal(|s) (has|have) a channel without any number",
    f"Training stops at it. {SKIPPED}", skip="a channel without any number",
)
INFINITE = Kind(
    "signal-infinite", "error", "{n} signal(|s) (holds|hold) infinite values",
    f"Training stops at it. {SKIPPED} Mend them, or mark them as missing by NaN.", skip="infinite values",
)
PARTLY_NAN = Kind(
    "signal-partly-nan", "warning", "{n} signal(|s) (lacks|lack) some values, which are NaN",
    "Filled by a straight line between their neighbours, unless --signal.missing says otherwise.",
)
CONSTANT_SIGNAL = Kind(
    "signal-constant", "warning", "{n} signal(|s) (is|are) constant",
    "Learned as it is. Probably nothing was measured.",
)
DEAD_CHANNEL = Kind(
    "channel-constant", "note", "{n} signal(|s) (has|have) a channel that is constant",
    "Learned as it is. Perhaps a sensor was off.",
)
MIXED_LENGTHS = Kind(
    "lengths-differ", "note", "{what} have different lengths, from {low} to {high}",
    "Cut or padded to one length. If it goes with the class, the network may learn that alone.",
)
SIGNAL_CHANNELS = Kind(
    "signal-channels-differ", "error", "{n} signal(|s) (has|have) {rare}, the others {usual}",
    "Training needs the same channels in each.",
)

# Sound
SOUND_UNREADABLE = Kind(
    "sound-unreadable", "error", "{n} sound(|s) can't be decoded",
    f"Training stops at it. {SKIPPED}", skip="can't be decoded",
)
SOUND_EMPTY = Kind(
    "sound-empty", "error", "{n} sound(|s) (has|have) no samples",
    f"Training stops at it. {SKIPPED}", skip="empty",
)
SOUND_LONG = Kind(
    "sound-too-long", "error", "{n} sound(|s) (is|are) longer than 600 seconds",
    f"Training stops at it. {SKIPPED} Cut it, or raise --sound.max_seconds in training.", skip="too long",
)
SOUND_INFINITE = Kind(
    "sound-not-finite", "error", "{n} sound(|s) (holds|hold) infinite values, or some that are no numbers",
    f"Training stops at it. {SKIPPED}", skip="values that are no numbers",
)
SOUND_STREAMED = Kind(
    "sound-length-unknown", "note", LENGTH_UNKNOWN,
    "Nothing is lost. Probably the file was written to a pipe, or the recorder was stopped.",
)
SILENT = Kind(
    "sound-silent", "warning", "{n} sound(|s) (is|are) silent: nothing is above -60 dB of full scale",
    "Learned as it is. Probably nothing was recorded.",
)
CLIPPED = Kind(
    "sound-clipped", "warning", "{n} sound(|s) (is|are) clipped: loud parts are cut off at full scale",
    "Learned as it is.",
)
MIXED_RATES = Kind(
    "rates-differ", "note", "{n} sound(|s) (has|have) a sampling rate other than {usual} Hz: {rare}",
    "All are brought to one rate. If it goes with the class, the network may learn that alone.",
)
SOUND_CHANNELS = Kind(
    "sound-channels-differ", "note", "{n} sound(|s) (has|have) {rare}, the others {usual}",
    "All are mixed to one channel.",
)

# Texts
TEXT_EMPTY = Kind(
    "text-empty", "warning", "{n} text(|s) (is|are) empty",
    f"There is nothing to learn from. {SKIPPED}", skip="empty",
)
TEXT_NO_LETTERS = Kind(
    "text-without-letters", "note", "{n} text(|s) (has|have) neither letters nor digits",
    "Learned as it is.",
)
TEXT_BROKEN = Kind(
    "text-broken-encoding", "warning", "{n} text(|s) (holds|hold) replacement or control characters",
    "Learned as it is. The text was probably read in the wrong encoding before it came here.",
)
TEXT_LONG = Kind(
    "text-much-longer", "note", "{n} text(|s) (is|are) more than ten times as long as most",
    "Cut at the longest that the network takes.",
)
TEXT_NEAR = Kind(
    "text-nearly-repeated", "note", "{n} text(|s) (equals|equal) another but for upper case, spaces and punctuation",
    "Used as they are.",
)

# Boards
GAME_UNPLAYABLE = Kind(
    "game-unplayable", "warning", "{n} game(|s) can't be replayed",
    "Left out as a whole. Mend or remove it.",
)
BOARD_SIZES = Kind(
    "boards-differ", "error", "{n} board(|s) (has|have) another shape than most",
    "Training needs boards of one shape.",
)
# fmt: on

KINDS: tuple[Kind, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Kind))
"""All kinds, in the order in which they are shown."""


def kind_named(name: str) -> Kind:
    """The kind of that name.

    >>> kind_named("cmyk").severity
    'error'
    """
    return next(kind for kind in KINDS if kind.name == name)
