"""The servers that `bench/serve.py` compares, and the clients that load them; each module is a process of its own."""
