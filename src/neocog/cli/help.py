"""The look of `--help`."""

from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions
from rich.text import Text

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel

__all__ = ["WrappedHelp"]


class WrappedHelp:
    """Cyclopts' own help, with texts wrapped to the terminal and not where the code wraps them.

    Its modules are imported when help is shown, so that other calls need not wait for them.
    """

    def __call__(self, console: Console, options: ConsoleOptions, panel: "HelpPanel") -> None:
        from cyclopts.help import DefaultFormatter

        for entry in panel.entries:
            text = getattr(entry.description, "primary_renderable", None)
            if isinstance(text, Text):
                text.plain = " ".join(text.plain.split())
        DefaultFormatter()(console, options, panel)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_description(console, options, description)
