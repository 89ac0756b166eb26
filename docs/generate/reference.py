"""The reference: commands and settings as the program's help has them, Python names with their docstrings."""

import importlib
import inspect

import cyclopts

import neocog
from neocog.cli.app import app
from neocog.cli.section_flags import all_settings

__all__ = ["reference_pages"]

POSITIONAL = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)

MODULES = ("neocog", "neocog.zoo", "neocog.planning", "neocog.data", "neocog.reference", "neocog.arithmetic",
           "neocog.layers", "neocog.errors")  # fmt: skip


def reference_pages() -> dict[str, str | bytes]:
    """File below docs/generated -> its content."""
    return {
        "reference/commands.md": commands(),
        "reference/settings.md": settings(),
        "reference/python.md": names(),
    }


def verbs(parent: cyclopts.App, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of each verb, such as ("find", "rate")."""
    found = []
    for name in parent:
        if name.startswith("-"):
            continue
        inner = verbs(parent[name], (*path, name))
        found += inner or [(*path, name)]
    return found


def commands() -> str:
    about = (
        f"The help of each command, version {neocog.__version__}. Settings of a run have [their own page](settings.md)."
    )
    parts = ["# Commands", about]
    for path in verbs(app):
        command = app
        for name in path:
            command = command[name]
        parts += [f"## neocog {' '.join(path)}", f"```text\n{command.help}\n```", flag_list(command)]
    return "\n\n".join(part for part in parts if part) + "\n"


def flag_list(command: cyclopts.App) -> str:
    """The arguments and flags of a verb with their help; settings of a run are left out."""
    described = parameter_texts(inspect.cleandoc(command.default_command.__doc__ or ""))
    rows = []
    for argument in command.assemble_argument_collection():
        own = [name for name in argument.names if "." not in name]
        if not own or not argument.show:
            continue
        name = argument.field_info.name
        if argument.field_info.kind in POSITIONAL:
            own = [name.upper()]
        about = " ".join((argument.parameter.help or described.get(name, "")).split())
        rows.append(f"- {', '.join(f'`{each}`' for each in own)}" + (f": {about}" if about else ""))
    return "\n".join(rows)


def parameter_texts(text: str) -> dict[str, str]:
    """The parameters of a docstring in numpy's form, by name."""
    found: dict[str, str] = {}
    name = ""
    for line in text.partition("\n\nParameters\n----------\n")[2].splitlines():
        if line and not line.startswith(" "):
            name = line.strip()
        elif line.strip():
            found[name] = f"{found.get(name, '')} {line.strip()}"
    return found


def settings() -> str:
    about = (
        "Each setting is a flag of `neocog train`, `--SECTION.NAME VALUE`, a key of a YAML file for `--config`, and a "
        "key of `overrides` in Python. A recipe may replace the default."
    )
    parts = ["# Settings", about]
    section = ""
    for key, value, text, default in all_settings():
        if key.partition(".")[0] != section:
            section = key.partition(".")[0]
            parts += [f"## {section}", "| setting | value | effect | default |\n|---|---|---|---|"]
        cells = (f"`{key}`", f"`{value}`", text.replace("<", "&lt;"), f"`{default}`" if default else "")
        parts[-1] += "\n| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    return "\n\n".join(parts) + "\n"


def names() -> str:
    parts = ["# Python", "The public names, with their docstrings. Examples in them are run by the tests."]
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        parts.append(f"## {module_name}")
        if module_name != "neocog" and module.__doc__:
            parts.append(f"```text\n{inspect.cleandoc(module.__doc__)}\n```")
        for name in module.__all__:
            found = getattr(module, name)
            if callable(found):
                parts += [f"### {name}", f"```text\n{described(name, found)}\n```"]
    return "\n\n".join(parts) + "\n"


def described(name: str, found: object) -> str:
    """Signature, docstring, and of a class its public methods."""
    text = f"{name}{signature(found)}"
    if found.__doc__:
        text += "\n\n" + inspect.cleandoc(found.__doc__)
    if inspect.isclass(found):
        for method, function in vars(found).items():
            if not method.startswith("_") and inspect.isfunction(function) and function.__doc__:
                text += f"\n\n.{method}{signature(function)}\n" + indent(inspect.cleandoc(function.__doc__))
    return text.replace("```", "'''")


def signature(found: object) -> str:
    try:
        return str(inspect.signature(found))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return "(...)"


def indent(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())
