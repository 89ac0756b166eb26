"""Fetch the Studio's front-end libraries again: python tools/vendor.py

Packs each package from the npm registry, which checks its integrity, takes one minified module out of it, points its
imports at the files beside it, as a browser without a build step needs them, and writes name, version, licence and
SHA-256 to VENDOR.json. A test compares the files with those hashes.
"""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "src" / "neocog" / "studio" / "static" / "vendor"
LIBRARIES = (
    # package, version, licence, file in the package, file here
    ("preact", "11.2.0", "MIT", "dist/preact.mjs", "preact.js"),
    ("preact", "11.2.0", "MIT", "hooks/dist/hooks.mjs", "preact-hooks.js"),
    ("htm", "3.1.1", "Apache-2.0", "dist/htm.mjs", "htm.js"),
    ("@preact/signals-core", "1.14.5", "MIT", "dist/signals-core.mjs", "signals-core.js"),
    ("@preact/signals", "2.11.4", "MIT", "dist/signals.mjs", "signals.js"),
    ("uplot", "1.6.32", "MIT", "dist/uPlot.iife.min.js", "uplot.js"),
    ("uplot", "1.6.32", "MIT", "dist/uPlot.min.css", "uplot.css"),
)
IMPORTS = {
    '"preact/hooks"': '"./preact-hooks.js"',
    '"preact"': '"./preact.js"',
    '"@preact/signals-core"': '"./signals-core.js"',
}


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows, licences = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for package, version, licence, source, name in LIBRARIES:
            members = pack(package, version, Path(folder))
            text = members[f"package/{source}"].decode()
            for before, after in IMPORTS.items():
                text = text.replace(f"from{before}", f"from{after}").replace(f"from {before}", f"from {after}")
            text = re.sub(r"//# sourceMappingURL=\S+", "", text).strip() + "\n"
            (FOLDER / name).write_text(text, encoding="utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            rows.append({"package": package, "version": version, "licence": licence, "file": name, "sha256": digest})
            licences[package] = members["package/LICENSE"].decode()
    (FOLDER / "VENDOR.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    texts = [f"{package}\n\n{text.strip()}\n" for package, text in licences.items()]
    (FOLDER / "LICENSES.txt").write_text("\n\n".join(texts), encoding="utf-8")
    print(f"{len(rows)} files in {FOLDER}")
    return 0


def pack(package: str, version: str, folder: Path) -> dict[str, bytes]:
    """The files of a package of the npm registry, by path."""
    made = subprocess.run(
        ["npm", "pack", "--silent", f"{package}@{version}"], cwd=folder, check=True, capture_output=True, text=True
    )
    with tarfile.open(folder / made.stdout.strip().splitlines()[-1]) as archive:
        files = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


if __name__ == "__main__":
    sys.exit(main())
