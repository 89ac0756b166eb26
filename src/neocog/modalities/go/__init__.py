"""Go: rules, game records, and the planes that networks see. `modality` holds its row in the table of kinds of data."""

__all__: list[str] = []
