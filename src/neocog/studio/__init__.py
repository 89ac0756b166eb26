"""The Studio: a local web page on your own networks, runs and data. Every number in it comes from Neocog itself."""
