"""Build the page that needs no server: ``python -m web.site`` (``make site``) writes ``site/``.

The same page, the two networks as ONNX, and onnxruntime-web, which runs them in the browser. All
come from one origin, and a service worker caches them: after the first visit, the page works
offline. Any web server can serve the folder, including GitHub Pages; to try it:
``python -m http.server --bind 127.0.0.1 --directory site``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import app
from utils import faces, inference, photos, runtime
from utils.runtime import DataError

#: onnxruntime-web as npm serves it: its version, and the sha512 of its archive in base64.
RUNTIME = ("onnxruntime-web", "1.30.0")
INTEGRITY = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
#: Of its 140 MB, what runs on WebGPU and what runs everywhere; a browser fetches one of the two.
RUNTIME_FILES = (
    *("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    *("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs"),
    "ort-wasm-simd-threaded.asyncify.wasm",
)
#: Where the archive is kept for the next build.
BUILD = runtime.ROOT / "build"


def package(name: str, version: str, integrity: str) -> Path:
    """Fetch a package's ``.tgz`` from npm, once, and check that it is the one tested here.

    `DataError` when npm is missing or gets nothing, or the archive is a different one.
    """
    archive = BUILD / f"{name}-{version}.tgz"
    if not archive.is_file():
        BUILD.mkdir(exist_ok=True)
        command = ["npm", "pack", f"{name}@{version}", "--silent", "--pack-destination", str(BUILD)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise DataError(
                f"{archive.name}: npm, which fetches it, is not installed "
                "(https://nodejs.org; Debian: apt install npm)"
            ) from error
        if done.returncode or not archive.is_file():
            said = " ".join(done.stderr.split())[-300:] or "no message"
            raise DataError(f"{archive.name}: npm could not fetch it: {said}")
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != integrity:
        archive.unlink()
        raise DataError(
            f"{archive.name}: not the file that was tested: found sha512 {found}, "
            f"expected {integrity}; it was removed"
        )
    return archive


def build(folder: Path, network: Path | None = None) -> list[str]:
    """Write the site.

    Parameters
    ----------
    folder : Path
        New, empty, or an earlier site, which is replaced.
    network : Path, optional
        The ``.onnx`` file; by default the released network.

    Returns
    -------
    list of str
        The site's files, by their paths in it.

    Raises
    ------
    DataError
        When the folder holds something else, or npm's package cannot be fetched.
    ModelError
        When the network cannot be loaded.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "files.js").is_file():
        raise DataError(f"{folder}: holds something other than a site; name a new folder")
    network = network or runtime.MODELS / f"{inference.DEFAULT}.onnx"
    classifier = inference.load(network)
    height, width, channels = classifier.input_shape
    if height != width:
        raise DataError(f"{network.name}: takes faces of {height} × {width}, expected a square")
    archive = package(*RUNTIME, INTEGRITY)
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("models", "ort", "samples"):
        (folder / part).mkdir(parents=True)
    (folder / "files.js").touch()  # so that the next build recognizes what a killed one left
    for name in (*app.PAGE, "sw.js"):
        shutil.copy(app.WEB / name, folder)
    for path in (network, *runtime.MODELS.glob("centerface.*")):
        shutil.copy(path, folder / "models")
    about = app.described(classifier.expressions, classifier.metadata["accuracy"])
    for sample in about["samples"]:
        shutil.copy(app.PHOTOS / sample["file"], folder / "samples")
    with tarfile.open(archive) as packed:
        for name in RUNTIME_FILES:
            content = packed.extractfile(f"package/dist/{name}")
            (folder / "ort" / name).write_bytes(content.read())
    about |= {
        "backend": "browser",
        "file": f"models/{network.name}",
        "size": height,
        "channels": channels,
        "margin": photos.MARGIN,
        "detector": {
            "file": "models/centerface.onnx",
            "side": faces.DETECTORS["centerface"],
            "sure": faces.SURE,
            "overlapping": faces.OVERLAPPING,
            "leaning": faces.LEANING,
        },
    }
    fetched = [
        *(folder / "models").iterdir(),
        *(folder / "ort" / name for name in RUNTIME_FILES[:3]),
    ]
    about["megabytes"] = round(sum(path.stat().st_size for path in fetched) / 1e6)
    runtime.write_json(folder / "network.json", about)
    files = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    content = hashlib.sha256(b"".join((folder / name).read_bytes() for name in files))
    kept = ["./", *(name for name in files if name != "sw.js" and not name.startswith("ort/"))]
    (folder / "files.js").write_text(
        f'const VERSION = "expressions-{content.hexdigest()[:16]}";\n'
        f"const FILES = {json.dumps(kept, indent=2)};\n",
        "utf-8",
    )
    return files


def main(arguments: Sequence[str] | None = None) -> None:
    """Build as the command line says."""
    parser = runtime.parser("python -m web.site", __doc__)
    add = parser.add_argument
    add("--model", type=Path, metavar="FILE", help="an .onnx file (default: the released network)")
    add("--to", type=Path, default=runtime.ROOT / "site", metavar="FOLDER", help="default: site/")
    asked = parser.parse_args(arguments)
    files = build(asked.to, asked.model)
    size = sum((asked.to / name).stat().st_size for name in files)
    print(f"{asked.to}: {len(files)} files, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    runtime.run_command(main)
