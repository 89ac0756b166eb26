"""The split that a name means: that of a folder, of a file, or in a column of a table."""

import re
import unicodedata
from collections.abc import Collection, Iterable

__all__ = ["SPLIT_NAMES", "is_neutral", "split_meant", "split_written", "splits_meant", "words"]

SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""The names that docs/data.md tells users to write."""
OTHER_NAMES = {
    "train": (
        "training", "trn", "trainval", "entrainement", "apprentissage",
        "entrenamiento", "addestramento", "treino", "treinamento", "训练", "训练集",
    ),
    "val": (
        "vld", "vali", "validate", "validating", "dev", "devel", "validierung", "validacion", "validazione",
        "validacao", "验证", "验证集",
    ),
    "test": (
        "testing", "tests", "tst", "holdout", "heldout", "eval", "evaluate", "evaluation", "prueba", "pruebas", "teste",
        "evaluierung", "测试", "测试集",
    ),
}  # fmt: skip
EITHER = frozenset({"eval", "evaluate", "evaluation", "evaluierung"})
"""The test split; beside another that means test, the validation split."""
MEANINGS = SPLIT_NAMES | {word: split for split, words in OTHER_NAMES.items() for word in words}
NEUTRAL_WORDS = """
    a all and annotated audio audios aug augmented balanced bilder bmp class classes classification classified clean
    cleaned clip clips color colored colour coloured corpus crop cropped crops csv data dataset datasets daten datei
    dateien dir directory doc docs document documents donnees datos example examples ensemble conjunto file files final
    folder for frame frames full gray grey greyscale grayscale image images imagenes img imgs in input inputs jpeg jpg
    labeled labelled large mel menge mini new normalised normalized npy of orig original part partition patches phase
    photo photos pic pics picture pictures png preprocessed processed raw resized rgb sample samples satz seg set sets
    signal signals small sound sounds spectrogram spectrograms split splitted splits stage subset text texts the tif
    tiff tiles tiny txt unbalanced v ver version video videos wav wavs wave waves webp x
"""
NEUTRAL = frozenset(NEUTRAL_WORDS.split())
"""Words that leave the meaning of a split: train_images, seg_test, training-set."""
COMPOUND = re.compile(
    rf"({'|'.join(sorted((word for word in MEANINGS if len(word) > 2), key=len, reverse=True))})s?"
    rf"({'|'.join(sorted((word for word in NEUTRAL if len(word) > 2), key=len, reverse=True))})"
)
"""Words written together: trainset, testimages, Trainingsdaten."""
SPLIT_PAIRS = (("hold", "out"), ("held", "out"))


def split_meant(name: str) -> str | None:
    """The split that a name alone means, by its words; None if it has others.

    >>> [split_meant(name) for name in ("Training", "seg_test", "val2017", "testImages", "hold-out", "Trainingsdaten")]
    ['train', 'test', 'val', 'test', 'test', 'train']
    >>> [split_meant(name) for name in ("trainers", "testudo", "train_station", "Testing equipment", "cat")]
    [None, None, None, None, None]
    """
    split, others = split_and_rest(name)
    return split if not others - NEUTRAL else None


def splits_meant(names: Collection[str]) -> dict[str, str]:
    """The split of each of these names, found side by side, that means one.

    Beside `birds_train`, which alone may be anything, `birds_test` shows what is meant.

    >>> splits_meant(["birds_train", "birds_test"]), splits_meant(["bullet_train", "blood_test"])
    ({'birds_train': 'train', 'birds_test': 'test'}, {})
    >>> splits_meant(["train", "eval"]), splits_meant(["train", "eval", "test"])
    ({'train': 'train', 'eval': 'test'}, {'train': 'train', 'eval': 'val', 'test': 'test'})
    """
    found, siblings = {}, dict[frozenset[str], dict[str, str]]()
    for name in names:
        split, others = split_and_rest(name)
        if split and not others - NEUTRAL:
            found[name] = split
        elif split:
            siblings.setdefault(frozenset(others - NEUTRAL), {})[name] = split
    for same in siblings.values():
        if "train" in same.values() and len(set(same.values())) > 1:
            found |= same
    either = [name for name, split in found.items() if split == "test" and set(words(name)) & EITHER]
    if either and len(either) < list(found.values()).count("test"):
        found |= dict.fromkeys(either, "val")
    return {name: found[name] for name in names if name in found}


def is_neutral(name: str) -> bool:
    """Whether a name says only that there are files: images, wav, all_data."""
    found = words(name)
    return bool(found) and NEUTRAL.issuperset(found)


def split_written(value: object) -> str | None:
    """The split that a row of a table names; None if it names none, or may be either of two, such as eval.

    >>> split_written(" Training "), split_written("TEST"), split_written("eval"), split_written(3)
    ('train', 'test', None, None)
    """
    text = str(value).strip()
    return None if set(words(text)) & EITHER else split_meant(text)


def split_and_rest(name: str) -> tuple[str | None, set[str]]:
    """The split of the words that mean one, if they agree, and the other words."""
    found = words(name)
    meant = {MEANINGS[word] for word in found if word in MEANINGS}
    others = {word for word in found if word not in MEANINGS}
    if meant == {"train", "val"}:
        meant = {"train"}  # as trainval
    return (meant.pop() if len(meant) == 1 else None), others


def words(name: str) -> list[str]:
    """The words of a name in small letters without accents or digits.

    >>> words("01_trainImages2017"), words("Entra\u00eenement"), words("testset")
    (['train', 'images'], ['entrainement'], ['test', 'set'])
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain)
    return list(separate(word.lower() for word in re.split(r"[\W\d_]+", spaced) if word))


def separate(found: Iterable[str]) -> Iterable[str]:
    """Words that are written together, each alone; and those that mean a split only together, together."""
    left = list(found)
    while left:
        word = left.pop(0)
        if left and (word, left[0]) in SPLIT_PAIRS:
            yield word + left.pop(0)
        elif word not in MEANINGS and (match := COMPOUND.fullmatch(word)):
            yield from match.groups()
        else:
            yield word
