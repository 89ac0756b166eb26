"""Go: rules, game records, and the planes that networks see. Its row of the table is in `modality`."""

__all__: list[str] = []
