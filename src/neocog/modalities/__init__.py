"""Kinds of data: images, signals, audio, text, positions of Go. Each has a folder with all that is particular to it."""
