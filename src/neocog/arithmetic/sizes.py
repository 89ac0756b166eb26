"""Output sizes along one axis: convolution, pooling, transposed convolution; and the way back."""

from fractions import Fraction

from neocog.arithmetic.padding import Padding, check_geometry, effective_kernel, explicit_padding, is_whole
from neocog.errors import GeometryError

__all__ = ["conv_input_sizes", "conv_output", "conv_transpose_output", "pool_output", "published_forms"]


def conv_output(size: int, kernel_size: int, stride: int = 1, padding: Padding = 0, dilation: int = 1) -> int:
    """Output size of a convolution along one axis.

        o = floor((i + 2p - d(k - 1) - 1) / s) + 1

    `padding` is a number for both sides, (before, after), or "valid", "same", "half" or "full".
    Raises GeometryError if the dilated kernel is larger than the padded input.
    Source: Dumoulin & Visin 2016, relationship 15.

    >>> conv_output(32, kernel_size=5), conv_output(224, kernel_size=7, stride=2, padding=3)
    (28, 112)
    """
    before, after = explicit_padding(padding, size, kernel_size, stride, dilation)
    return positions(size, kernel_size, stride, before, after, dilation)[0]


def positions(size: int, kernel_size: int, stride: int, before: int, after: int, dilation: int) -> tuple[int, int]:
    """How many windows fit, and how many padded samples are left behind the last one."""
    wide, padded = effective_kernel(kernel_size, dilation), size + before + after
    if wide > padded:
        dilated = f" (dilated by {dilation}: {wide})" if dilation > 1 else ""
        around = f" with padding {before} + {after}" if before or after else ""
        raise GeometryError(
            "A kernel must not be larger than its padded input.",
            received=f"kernel_size={kernel_size}{dilated} for {size}{around}",
            fix=f"Use a size of at least {wide - before - after}, more padding, or a smaller kernel.",
        )
    strides, left = divmod(padded - wide, stride)
    return strides + 1, left


def pool_output(
    size: int,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Output size of a pooling along one axis; the stride is the window's size unless given.

        o = floor((i + 2p - d(k - 1) - 1) / s) + 1

    With `ceil_mode` it is the ceiling, so that a window may reach over the end; but a window that would begin
    behind the input, in the padding of the end, is left out.
    Raises GeometryError if the window is larger than the padded input, or the padding larger than half of the
    window, which could then hold nothing but padding.
    Source: the definition that torch's pooling layers document.

    >>> pool_output(112, 3, stride=2), pool_output(112, 3, stride=2, ceil_mode=True)
    (55, 56)
    """
    stride = kernel_size if stride is None else stride
    check_geometry(size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    before, after = explicit_padding(padding, size, kernel_size, stride, dilation)
    wide = effective_kernel(kernel_size, dilation)
    if isinstance(padding, str) or before != after:
        raise GeometryError("padding of a pooling is one number for both sides.", received=f"{padding!r}")
    if before > kernel_size // 2:
        raise GeometryError(
            "padding must be at most half of a pooling window.",
            received=f"padding={padding} for a window of {kernel_size}",
            fix=f"Use at most {kernel_size // 2}.",
        )
    if not ceil_mode:
        return positions(size, kernel_size, stride, before, after, dilation)[0]
    count = -(-(size + before + after - wide) // stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1
    if count < 1:
        positions(size, kernel_size, stride, before, after, dilation)  # says what is too large
    return count


def conv_transpose_output(
    size: int, kernel_size: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Output size of a transposed convolution along one axis.

        o = s(i - 1) + d(k - 1) + 1 - 2p + output_padding

    It is the size of an input that the convolution with the same numbers takes to `size`. A stride takes several
    sizes to one; `output_padding` chooses among them.
    Raises GeometryError if nothing would be left, or output_padding is not smaller than stride or dilation.
    Source: Dumoulin & Visin 2016, relationship 14, with dilation.

    >>> conv_transpose_output(7, kernel_size=4, stride=2, padding=1)
    14
    """
    check_geometry(size=size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    if not is_whole(padding) or not is_whole(output_padding) or padding < 0 or output_padding < 0:
        raise GeometryError(
            "padding must be a whole number and not negative.",
            received=f"padding={padding}, output_padding={output_padding}",
        )
    if output_padding >= max(stride, dilation):
        raise GeometryError(
            "output_padding must be smaller than stride or dilation.",
            received=f"output_padding={output_padding}, stride={stride}, dilation={dilation}",
            fix=f"Use at most {max(stride, dilation) - 1}.",
        )
    found = stride * (size - 1) + effective_kernel(kernel_size, dilation) - 2 * padding + output_padding
    if found < 1:
        raise GeometryError(
            "A transposed convolution must leave something.",
            received=f"{size} with kernel_size={kernel_size}, stride={stride}, padding={padding}, which leaves {found}",
            fix="Use less padding or a larger kernel.",
        )
    return found


def conv_input_sizes(
    output: int, kernel_size: int, stride: int = 1, padding: int | tuple[int, int] = 0, dilation: int = 1
) -> range:
    """All input sizes that a convolution takes to this output size: `stride` of them, or fewer where some would be
    smaller than 1.

        s(o - 1) + d(k - 1) + 1 - 2p  ...  the same + s - 1

    Raises GeometryError if there is none.

    >>> list(conv_input_sizes(3, kernel_size=3, stride=2))
    [7, 8]
    """
    check_geometry(output=output)
    before, after = explicit_padding(padding, 1, kernel_size, stride, dilation)
    smallest = stride * (output - 1) + effective_kernel(kernel_size, dilation) - before - after
    sizes = range(max(smallest, 1), smallest + stride)
    if not sizes:
        least = conv_output(1, kernel_size, stride, padding, dilation)
        raise GeometryError(
            f"No input gives an output of {output}.",
            received=f"kernel_size={kernel_size}, stride={stride}, padding={padding}, which give at least {least}",
            fix="Use less padding.",
        )
    return sizes


def published_forms(size: int, kernel_size: int, stride: int = 1, padding: int = 0) -> dict[str, Fraction]:
    """The result of each published formula for the output size, for those whose conditions hold; dilation is 1.

    All that are whole numbers agree. `(N - F + 2P)/S + 1` is a fraction where the stride does not fit, and then says
    no size; the others round it down.

    >>> for form, value in published_forms(7, kernel_size=3, stride=3).items(): print(f"{value!s:4} {form}")
    2    floor((i + 2p - k)/s) + 1
    2    floor((i + 2p - k + s)/s)
    7/3  (N - F + 2P)/S + 1
    2    ceil((i - k + 1)/s), valid
    """
    i, k, s, p = size, kernel_size, stride, padding
    conv_output(i, k, s, p)  # refuses what does not fit
    forms = {
        "floor((i + 2p - k)/s) + 1": Fraction((i + 2 * p - k) // s + 1),
        "floor((i + 2p - k + s)/s)": Fraction((i + 2 * p - k + s) // s),
        "(N - F + 2P)/S + 1": Fraction(i - k + 2 * p, s) + 1,
    }
    if p == 0:
        forms["ceil((i - k + 1)/s), valid"] = Fraction(-((k - i - 1) // s))
    if 2 * p == k - 1:
        forms["ceil(i/s), same or half"] = Fraction(-(-i // s))
    if s == 1 and p == k - 1:
        forms["i + k - 1, full"] = Fraction(i + k - 1)
    return forms
