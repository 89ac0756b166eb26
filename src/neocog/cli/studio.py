"""`neocog studio`: a local web page on networks, runs and data."""

import os
import signal
from typing import Annotated

from cyclopts import Parameter

from neocog.cli.flags import Switch
from neocog.cli.stdout import write_address
from neocog.errors import ConfigError
from neocog.progress import note


def studio(
    *targets: str,
    port: int = 0,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    json: Switch = False,
) -> None:
    """See inside networks, runs and data on a web page of this machine.

    neocog studio
    neocog studio model.neocog
    neocog studio runs/photos-auto-1 photos/

    Bench: convolution, pooling and their arithmetic, to touch. Anatomy: a network as
    it runs, with receptive fields. Image: your input, the maps of every layer, why
    the network decides. Filter: what a channel responds to. Runs: curves, errors,
    comparisons. Lessons: a course on CNNs over all of these.
    The page is served to this machine alone, and needs the token in its address.
    In Python: neocog.open_studio("model.neocog").

    Parameters
    ----------
    targets
        Bundles (model.neocog), run folders, folders of runs, or data; nothing for the screens that teach.
    port
        The port; by default a free one.
    browser
        Open the page.
    json
        Print the address as JSON on standard output once the server listens.
    """
    try:
        from neocog.studio.serve import open_studio
    except ModuleNotFoundError as error:
        raise ConfigError(
            "The Studio needs a web server.", received=f"no module {error.name}",
            fix="Install it: pip install 'neocog[studio]'",
        ) from error  # fmt: skip
    try:
        open_studio(*targets, port=port, browser=browser, ready=write_address if json else None)
    except KeyboardInterrupt:
        note("Stopped.")
        os._exit(128 + signal.SIGINT)  # at once: threads that compute can't be interrupted
