"""Go: rules, game records, the planes that networks see."""
