"""Networks as a service over HTTP: the Open Inference Protocol, files in and answers out, and figures on its health."""

__all__: list[str] = []
