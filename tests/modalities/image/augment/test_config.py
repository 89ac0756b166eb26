import pytest
from pydantic import ValidationError

from neocog.errors import ConfigError
from neocog.modalities.image.augment import AugmentConfig, check_augment

IDLE = {"border", "alternate", "magnitude", "number"}


def test_settings_that_do_nothing_are_named():
    assert AugmentConfig().ignored().keys() == IDLE
    assert AugmentConfig(flip=0.5, crop_area=0.5).ignored().keys() == IDLE - {"alternate"}
    assert AugmentConfig(grey=1.0).ignored().keys() == IDLE | {"saturation", "hue"}
    assert AugmentConfig(grey=0.5).ignored().keys() == IDLE
    assert AugmentConfig(policy="trivialaugment").ignored().keys() == IDLE - {"border"}
    assert AugmentConfig(policy="randaugment").ignored().keys() == {"alternate"}


@pytest.mark.parametrize("setting", ["shift", "translate", "rotate", "scale", "shear"])
def test_every_move_has_a_border(setting):
    value = 1 if setting == "shift" else 0.1
    assert "border" not in AugmentConfig(**{setting: value}).ignored()


def test_every_setting_has_a_help_text():
    for name, field in AugmentConfig.__pydantic_fields__.items():
        assert field.description and field.description[0].isupper(), name


@pytest.mark.parametrize(
    "settings",
    [{"flip": 1.5}, {"crop_area": 0}, {"hue": 0.6}, {"shear": 1}, {"number": 0}, {"policy": "autoaugment"}],
)
def test_values_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError):
        AugmentConfig(**settings)


def test_shift_must_be_smaller_than_the_image():
    check_augment(AugmentConfig(shift=27), (1, 28, 32))
    with pytest.raises(ConfigError, match=r"augment\.shift must be smaller.*Received: 28 for images of 28x32"):
        check_augment(AugmentConfig(shift=28), (1, 28, 32))


@pytest.mark.parametrize("name", ["saturation", "hue", "lighting", "grey"])
def test_colours_need_three_channels(name):
    config = AugmentConfig(**{name: 0.3})
    check_augment(config, (3, 8, 8))
    with pytest.raises(
        ConfigError, match=rf"augment\.{name} needs images of three channels. Received: 1 channel. Remove it"
    ):
        check_augment(config, (1, 8, 8))
