"""See inside a network: `neocog.explain`, on your own model, which is left exactly as it was."""
