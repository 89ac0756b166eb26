"""One paper, one file: each network reads alone, top to bottom. The catalogue gives them their names."""

__all__: list[str] = []
