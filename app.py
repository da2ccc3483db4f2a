#!/usr/bin/env python3
"""Serve the page: it finds faces and their expressions in a photo, a video, or the camera.

    python app.py                              # then open http://127.0.0.1:5000
    python app.py --model cnn5-fer2013-smote --port 8080

The page is in web/; it asks this program, which runs the same detector and network as predict.py.
Pictures are read in memory, never written to disk, and sent nowhere. The server listens on
127.0.0.1, where only this machine reaches it; --host sets another address. Programs can use it too:

    curl --data-binary @photo.jpg -H "Content-Type: image/jpeg" http://127.0.0.1:5000/api/analyze
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from utils import inference, runtime
from utils.expressions import COLORS, OTHER_COLOR
from utils.runtime import DataError

if TYPE_CHECKING:
    import flask

WEB = runtime.ROOT / "web"
PHOTOS = runtime.DATA / "photos"
#: What the page consists of; nothing else in web/ is served.
PAGE = ("index.html", "style.css", "app.js", "analyze.js", "faces.js", "worker.js")
#: The portraits to try it on, all in the public domain (data/README.md).
SAMPLES = {
    "astronaut.jpg": "Eileen Collins, astronaut",
    "hopper.jpg": "Grace Hopper, computer scientist",
    "tesla-young.jpg": "Nikola Tesla, engineer",
    "tesla-older.jpg": "Nikola Tesla, some years later",
}
#: The largest upload in bytes: a PNG of the page's largest canvas, 4096 × 4096, fits.
LARGEST_UPLOAD = 64 * 2**20
#: A connection that sends nothing for this many seconds is closed.
PATIENCE = 60
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
    "style-src 'self'; img-src 'self' blob: data:; media-src blob:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def described(expressions: Sequence[str], about: dict[str, Any]) -> dict[str, Any]:
    """Return what the page says about a network; ``about`` is from `photos.load`."""
    from utils import datasets

    loader = datasets.LOADERS.get(about["trained_on"])
    return {
        **about,
        "data": loader.title if loader else about["trained_on"],
        "expressions": list(expressions),
        "colors": {name: COLORS.get(name, OTHER_COLOR) for name in expressions},
        "samples": [{"file": file, "title": title} for file, title in SAMPLES.items()],
    }


def local(header: str, host: str) -> bool:
    """Tell whether a request's Host is this server's own, not another name that resolves to it.

    A page on the internet can point its own name to 127.0.0.1 and then ask us as if it were
    ours (DNS rebinding). It cannot do so with an address in place of a name.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
        return name in ("localhost", host.lower()) or bool(ipaddress.ip_address(name))
    except ValueError:  # neither
        return False


def create(classifier: Any, about: dict[str, Any], *, host: str = "127.0.0.1") -> flask.Flask:
    """Build the application.

    Parameters
    ----------
    classifier, about
        The network, as `photos.load` returns it.
    host : str
        The address or name at which it will be reached.

    Returns
    -------
    flask.Flask
        ``POST /api/analyze`` takes a picture's bytes and returns `photos.Photo.as_json`; with
        ``?frame=1`` it is not turned in search of faces. Every error is ``{"error": sentence}``.
    """
    import flask
    from werkzeug.exceptions import HTTPException

    from utils import faces, photos

    app = flask.Flask("app", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_UPLOAD
    app.json.sort_keys = False  # expressions keep their order
    network = described(classifier.expressions, about) | {"backend": "server"}
    turn = threading.Lock()  # one picture at a time bounds the memory

    def refusal(code: int, sentence: str) -> tuple[dict[str, str], int]:
        return {"error": sentence}, code

    @app.before_request
    def own_pages_only() -> Any:
        request = flask.request
        if not local(request.host, host):
            return refusal(403, "This server answers only at its own address.")
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "none")
        foreign = site not in ("same-origin", "none") and request.path.startswith("/api/")
        if foreign or (origin is not None and origin != request.host_url.rstrip("/")):
            return refusal(403, "This server answers only its own page, not another site's.")
        return None

    @app.after_request
    def strict(response: flask.Response) -> flask.Response:
        response.headers.update(HEADERS)
        return response

    @app.errorhandler(Exception)
    def sentence(error: Exception) -> Any:
        if isinstance(error, DataError):
            return refusal(400, runtime.printable(" ".join(str(error).split())))
        if isinstance(error, HTTPException):
            known = {
                404: "There is nothing at this address.",
                405: "This address expects another method.",
                413: f"The picture is over {LARGEST_UPLOAD // 2**20} MB, the limit.",
            }
            code = error.code or 500
            return refusal(code, known.get(code, f"The request was refused: {error.name}."))
        app.logger.error("%s: %s", type(error).__name__, error)
        return refusal(500, "The picture could not be analyzed: an error in this program.")

    @app.get("/")
    @app.get("/<name>")
    def page(name: str = "index.html") -> Any:
        if name not in PAGE:
            flask.abort(404)
        return flask.send_from_directory(WEB, name)

    @app.get("/network.json")
    def about() -> Any:
        return network

    @app.get("/samples/<name>")
    def sample(name: str) -> Any:
        if name not in SAMPLES:
            flask.abort(404)
        return flask.send_from_directory(PHOTOS, name)

    @app.post("/api/analyze")
    def analyze() -> Any:
        # Another site's page can send text or a form unasked, but not a picture.
        if not flask.request.mimetype.startswith("image/"):
            return refusal(415, "Expected the bytes of a picture, sent as image/jpeg or image/png.")
        body = flask.request.get_data(cache=False)  # before its turn: a slow upload holds up nobody
        with turn:
            pixels = faces.read_photo(body, "the picture")
            found = photos.find(pixels, classifier, turn="frame" not in flask.request.args)
            return photos.Photo(Path("the picture"), pixels, found).as_json()

    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C."""
    parser = runtime.parser("app.py", __doc__)
    add = parser.add_argument
    add(
        "--model",
        metavar="NAME",
        default=inference.DEFAULT,
        help="a released network, a run, or an .onnx or .keras file (default: %(default)s)",
    )
    add("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    add(
        "--port",
        type=runtime.between(0, 65535, int),
        default=5000,
        help="0: any free port (default: %(default)s)",
    )
    asked = parser.parse_args(arguments)
    from werkzeug.serving import WSGIRequestHandler, make_server

    from utils import photos

    app = create(*photos.load(asked.model), host=asked.host)

    class Handler(WSGIRequestHandler):
        timeout = PATIENCE

        def log_request(self, *_: Any) -> None:
            """Keep quiet: one line per camera frame helps nobody."""

    family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
    with socket.create_server((asked.host, asked.port), family=family) as listening:
        port = listening.getsockname()[1]
        server = make_server(
            asked.host, port, app, threaded=True, request_handler=Handler, fd=listening.fileno()
        )
        if asked.host not in ("127.0.0.1", "localhost", "::1"):
            print(
                f"app.py: warning: anyone who can reach {asked.host} can use this server, without "
                "a password or encryption; browsers allow the camera only on this machine's own "
                "page",
                file=sys.stderr,
            )
        shown = f"[{asked.host}]" if ":" in asked.host else asked.host
        print(f"http://{shown}:{port}  (Ctrl-C stops)", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    runtime.run_command(main)
