"""`neocog filter`: apply a classic kernel to an image."""

import io
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from PIL import Image

from neocog.cli.flags import Switch
from neocog.cli.stdout import write_out
from neocog.data import Pixels, decode_image
from neocog.errors import ConfigError, DataError
from neocog.files import write_whole
from neocog.reference import FILTERS, apply_filter, find_filter, grey, shown

MAX_PIXELS = 40_000_000


def filter_image(
    name: str,
    image: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    size: int | None = None,
    sigma: float | None = None,
    down: int | None = None,
    right: int | None = None,
    border: Annotated[str, Parameter(metavar="NAME")] = "edge",
    stretch: Switch = False,
) -> None:
    """Apply a classic kernel to an image.

    neocog filter sobel street.jpg -o edges.png
    neocog filter gaussian street.jpg -o soft.png --sigma 4
    neocog filter shift street.jpg -o shifted.png --right 40 --border wrap

    identity   the image unchanged
    shift      the image shifted               --down --right
    box        the mean over a square          --size
    gaussian   a Gaussian blur                 --sigma --size
    sharpen    differences amplified
    sobel      edges of any direction
    sobel_x    brighter to the right
    sobel_y    brighter downwards
    laplacian  lines, dots, both sides of edges

    The last four work on brightness alone, and take --stretch. sobel draws flat
    areas black and a sharp step from black to white (a response of 4) white. The
    others have a sign: 0 is drawn mid-grey, -4 black and 4 white.
    In Python, on an array: neocog.reference.apply_filter.

    Parameters
    ----------
    name
        box, gaussian, identity, laplacian, sharpen, shift, sobel, sobel_x or sobel_y.
    image
        A PNG, JPEG, BMP, WebP or TIFF file; rotated as its EXIF orientation says.
    output
        The 8-bit PNG file to write. An existing file is replaced, but never the image itself.
    size
        Rows and columns of the kernel, odd (box: 3; gaussian: 3 sigma each way).
    sigma
        Radius of the blur in pixels (gaussian: 1).
    down
        Pixels to shift down; negative is up (shift: 0).
    right
        Pixels to shift to the right; negative is left (shift: 1).
    border
        Extend the image by its outermost pixels (edge), its mirror image (reflect), itself (wrap), or black (zero).
    stretch
        Use the full range: the strongest response of a gradient filter becomes black or white.
    """
    given = {"size": size, "sigma": sigma, "down": down, "right": right}
    options = {option: value for option, value in given.items() if value is not None}
    gradient = find_filter(name, options).gradient
    check_output(output, image)
    pixels = read_image(image)
    responses = apply_filter(grey(pixels) if gradient else pixels, name, border, **options)
    drawn = shown(responses, name, stretch)
    write_whole(output, png(drawn))
    height, width = drawn.shape[:2]
    write_out(f"{output}  {name}, {height}x{width}, {scale_of(name, stretch)}")


def check_output(output: Path, image: Path) -> None:
    """Raises ConfigError for an output that is not a PNG file, or is the image itself."""
    if output.suffix.lower() != ".png":
        raise ConfigError("The output is a PNG file.", received=str(output), fix="Give it a name that ends in .png.")
    if output.exists() and image.exists() and output.samefile(image):
        raise ConfigError(
            "The image itself is never replaced.", received=f"{output} as both", fix="Name another --output."
        )


def read_image(path: Path) -> Pixels:
    """The pixels of an image, (H, W, 1) or (H, W, 3); transparency over white. Raises DataError if it isn't one."""
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}. Check the path.") from error
    return decode_image(payload, str(path), max_pixels=MAX_PIXELS, convert=True)


def png(pixels: Pixels) -> bytes:
    """8-bit pixels (H, W), (H, W, 1) or (H, W, 3) as the content of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(buffer, "png")
    return buffer.getvalue()


def scale_of(name: str, stretch: bool) -> str:
    """The meaning of black and white in the image that was written."""
    black, white = FILTERS[name].shows
    if not FILTERS[name].gradient:
        return "in the scale of the image"
    least = "no edge is black" if black == 0 else "no change is grey"
    most = "the strongest response" if stretch else f"a response of {white:g}"
    return f"{least}, {most} is white"
