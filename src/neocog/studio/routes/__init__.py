"""The questions of each screen and their answers: a file for each, with an APIRouter of the same name."""

__all__: list[str] = []
