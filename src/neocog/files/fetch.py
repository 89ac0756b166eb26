"""Downloading a published file: with progress, checked by SHA-256, resumable, whole or not at all.

`torch.hub.download_url_to_file` and pooch check hashes too, but begin a broken download from the start.
"""

import hashlib
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from neocog.errors import DataError
from neocog.files.whole import storage_errors
from neocog.progress import Bar

__all__ = ["Remote", "fetch", "file_hash"]

CHUNK = 2**16
TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True, slots=True)
class Remote:
    """A file at its official address, with its SHA-256 or as many of its leading digits as are published."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.url).name


def fetch(remote: Remote, path: Path) -> Path:
    """Download one file, continuing an earlier attempt.

    Raises DataError if the address can't be reached or the SHA-256 differs.
    """
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(remote.url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        receive(request, part, have, remote.name)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing is missing, the SHA-256 will tell
            raise DataError(f"{remote.url} answered {error.code} {error.reason}.", fix="Try again later.") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"{remote.url} can't be reached: {str(reason).rstrip('.')}. What has arrived is kept for the next attempt.",
            fix=f"Check the network, or put the file at {path}.",
        ) from error
    found = file_hash(part)
    if not found.startswith(remote.sha256):
        part.unlink()
        raise DataError(f"{remote.url} must have the published SHA-256 {remote.sha256}.", received=found)
    with storage_errors(path):
        return part.rename(path)


def receive(request: urllib.request.Request, part: Path, have: int, label: str) -> None:
    """Append the answer's body to the file, or start again if the server sends all of it."""
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        have = have if answer.status == 206 else 0
        total = have + int(answer.headers.get("Content-Length") or 0)
        with storage_errors(part):
            file = part.open("ab" if have else "wb")
        with file, Bar(label, total) as bar:
            while chunk := answer.read(CHUNK):
                with storage_errors(part):
                    file.write(chunk)
                have += len(chunk)
                bar.draw(have, f"{have / 1e6:.1f} MB")
    if have < total:
        raise ConnectionError(f"the connection ended after {have:,} of {total:,} bytes")


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
