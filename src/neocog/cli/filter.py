"""`neocog filter`: a classic kernel over a picture."""

import io
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from PIL import Image

from neocog.cli.stdout import write_out
from neocog.data import Pixels, decode_image
from neocog.errors import ConfigError, DataError
from neocog.files import write_whole
from neocog.reference import FILTERS, apply_filter, find_filter, grey, shown

Switch = Parameter(negative="")
MAX_PIXELS = 40_000_000


def filter_picture(
    name: str,
    picture: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    size: int | None = None,
    sigma: float | None = None,
    down: int | None = None,
    right: int | None = None,
    border: str = "edge",
    stretch: Annotated[bool, Switch] = False,
) -> None:
    """Apply a classic kernel to a picture; `neocog.reference.apply_filter` does the same to an array.

    Parameters
    ----------
    name
        box, gaussian, identity, laplacian, sharpen, shift, sobel, sobel_x or sobel_y.
    picture
        A PNG, JPEG, BMP, WebP or TIFF file; turned as its EXIF orientation says.
    output
        The PNG file to write, of 8 bits. A file of that name is replaced; the picture itself never is.
    size
        Rows and columns of the kernel, odd (box: 3; gaussian: 3 sigma each way).
    sigma
        Radius of the blur in pixels (gaussian: 1).
    down
        Pixels that the picture moves down; negative is up (shift: 0).
    right
        Pixels that the picture moves to the right; negative is left (shift: 1).
    border
        Around the picture lie its outermost pixels (edge), its mirror image (reflect), itself (wrap), or black (zero).
    stretch
        Use black and white fully: the strongest response of a gradient filter is drawn as strong as it can be.
    """
    given = {"size": size, "sigma": sigma, "down": down, "right": right}
    options = {option: value for option, value in given.items() if value is not None}
    gradient = find_filter(name, options).gradient
    check_output(output, picture)
    pixels = read_picture(picture)
    responses = apply_filter(grey(pixels) if gradient else pixels, name, border, **options)
    drawn = shown(responses, name, stretch)
    write_whole(output, png(drawn))
    height, width = drawn.shape[:2]
    write_out(f"{output}  {name}, {height}x{width}, {scale_of(name, stretch)}")


def check_output(output: Path, picture: Path) -> None:
    """Raises ConfigError for an output that is no PNG file, or is the picture itself."""
    if output.suffix.lower() != ".png":
        raise ConfigError(f"The output is a PNG file. Received: {output}. Give it a name that ends in .png.")
    if output.exists() and picture.exists() and output.samefile(picture):
        raise ConfigError(f"The picture itself is never written to. Received: {output} as both. Name another --output.")


def read_picture(path: Path) -> Pixels:
    """A picture's pixels, (H, W, 1) or (H, W, 3); transparency over white. Raises DataError for what is none."""
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}. Check the path.") from error
    return decode_image(payload, str(path), max_pixels=MAX_PIXELS, convert=True)


def png(pixels: Pixels) -> bytes:
    """Pixels (H, W), (H, W, 1) or (H, W, 3) of 8 bits as a PNG file's content."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2:] == (1,) else pixels).save(buffer, "png")
    return buffer.getvalue()


def scale_of(name: str, stretch: bool) -> str:
    """What black and white mean in the picture that was written."""
    black, white = FILTERS[name].shows
    if not FILTERS[name].gradient:
        return "in the picture's own scale"
    least = "no edge is black" if black == 0 else "no change is grey"
    most = "the strongest response" if stretch else f"a response of {white:g}"
    return f"{least}, {most} is white"
