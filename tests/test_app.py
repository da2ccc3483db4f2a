"""``app.py``: it answers its own page and no other site, and no upload does harm."""

import io
import json
import re
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pngs import png

import app
from utils import faces
from utils.expressions import EXPRESSIONS
from utils.faces import Box, Detection

HOME = "http://127.0.0.1:5000"


@pytest.fixture
def client(monkeypatch):
    """A client of a server whose network predicts the same for a photo's two faces."""
    answer = np.full((2, 7), 0.1, np.float32) + 0.3 * (np.arange(7) == 3)
    network = SimpleNamespace(
        expressions=EXPRESSIONS,
        input_shape=(64, 64, 1),
        predict=lambda crops: answer[: len(crops)],
    )
    boxes = [Detection(Box(1, 2, 5, 6), 0.9), Detection(Box(0, 0, 7, 7), 0.6)]
    monkeypatch.setattr(faces, "detect", lambda *_, **__: boxes)
    about = {"name": "small", "trained_on": None, "test_accuracy": None}
    return app.create(network, about).test_client()


def packed(kind="PNG", size=(40, 30)):
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, kind)
    return content.getvalue()


def post(client, body, kind="image/png", **headers):
    return client.post("/api/analyze", data=body, base_url=HOME, content_type=kind, headers=headers)


def refused(answer, code):
    """Check that an answer is one sentence with this code; return it."""
    assert answer.status_code == code
    assert list(answer.json) == ["error"]
    sentence = answer.json["error"]
    assert sentence
    assert sentence.isprintable()
    assert sentence[0].isupper() or sentence.startswith("the picture: ")
    return sentence


def test_a_picture_is_answered_as_predict_writes_it(client):
    answer = post(client, packed()).json
    assert (answer["width"], answer["height"], len(answer["faces"])) == (40, 30, 2)
    assert answer["faces"][0]["box"] == {"left": 1, "top": 2, "right": 5, "bottom": 6}
    assert answer["faces"][0]["expression"] == "happy"
    assert list(answer["faces"][0]["probabilities"]) == list(EXPRESSIONS)


def test_a_port_out_of_range_is_a_wrong_command_line():
    with pytest.raises(SystemExit, match="2"):
        app.main(["--port", "70000"])


def test_a_name_of_this_server_is_its_own_in_capitals_too():
    assert app.local("mybox:5000", "MyBox")
    assert not app.local("elsewhere.example:5000", "MyBox")


@pytest.mark.parametrize(
    ("body", "kind", "code", "said"),
    [
        (b"", "image/png", 400, "the file is empty"),
        (b"no picture", "image/png", 400, "not a picture; expected a picture"),
        (png(20_000, 20_000), "image/png", 400, "far too many pixels; expected"),
        (packed()[:900], "image/png", 400, "cannot be decoded"),
        (packed(), "text/plain", 415, "Expected the bytes of a picture"),
        (packed(), "multipart/form-data; boundary=x", 415, "Expected the bytes of a picture"),
        (bytes(app.LARGEST_UPLOAD + 1), "image/png", 413, "over 64 MB"),
    ],
    ids=["empty", "text", "huge", "truncated", "as text", "as a form", "too many bytes"],
)
def test_what_is_refused_is_named_in_a_sentence_and_nothing_is_written(
    client, body, kind, code, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert said in refused(post(client, body, kind), code)
    assert list(tmp_path.iterdir()) == []


def test_a_slow_upload_holds_up_nobody(client):
    begun, sent = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def read(self, *_):
            begun.set()
            sent.wait(60)
            return b""

        readinto = readline = read

    def upload():
        how = {"input_stream": Slow(bytes(1000)), "content_type": "image/png"}
        client.application.test_client().post("/api/analyze", base_url=HOME, **how)

    with ThreadPoolExecutor() as pool:
        pool.submit(upload)
        assert begun.wait(30)
        answer = pool.submit(post, client, packed())
        try:
            assert answer.result(timeout=30).status_code == 200
        finally:
            sent.set()


def test_an_error_of_ours_tells_nothing_of_the_program(client, monkeypatch, caplog):
    def broken(*_, **__):
        raise RuntimeError("/home/me/secret.py")

    monkeypatch.setattr(faces, "detect", broken)
    assert "secret" not in refused(post(client, packed()), 500)
    assert "secret" in caplog.text


# Who is answered


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:5000"},
        {"Host": "localhost.evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8888"},
        {"Origin": "https://127.0.0.1:5000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_other_origins_and_rebound_names_are_refused(client, headers):
    refused(post(client, packed(), **headers), 403)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": HOME, "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost:5000", "Origin": "http://localhost:5000"},
        {"Host": "[::1]:5000", "Origin": "http://[::1]:5000"},
        {"Host": "[::1]"},
    ],
    ids=str,
)
def test_our_own_page_is_answered(client, headers):
    assert post(client, packed(), **headers).status_code == 200


def test_a_link_from_another_site_opens_the_page(client):
    assert (
        client.get("/", base_url=HOME, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    )


def test_the_page_s_files_and_nothing_else_are_served(client):
    for name in ("", *app.PAGE, "network.json"):
        assert client.get(f"/{name}", base_url=HOME).status_code == 200
    for file in app.SAMPLES:
        assert client.get(f"/samples/{file}", base_url=HOME).status_code == 200
    for way in ("site.py", "sw.js", "../app.py", "%2e%2e/app.py", "samples/../README.md", "x/y"):
        refused(client.get(f"/{way}", base_url=HOME), 404)
    refused(client.get("/api/analyze", base_url=HOME), 405)


def test_every_answer_has_the_strict_headers(client):
    for answer in (
        client.get("/", base_url=HOME),
        client.get("/nothing", base_url=HOME),
        post(client, b""),
        client.get("/", base_url="http://evil.example"),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_static_page_has_the_same_policy(root):
    html = (root / "web/index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert app.HEADERS["Content-Security-Policy"] == f"{policy}; frame-ancestors 'none'"
    assert not re.search(r"<script(?![^>]*src)|\son\w+=|style=|https?://(?!eur-lex)", html)


# The program


def test_the_program_serves_and_ends(root, tmp_path):
    command = [sys.executable, str(root / "app.py"), "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            address = running.stdout.readline().split()[0]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(f"{address}/network.json") as answer:
                about = json.load(answer)
            port = address.rsplit(":", 1)[1]
            second = subprocess.run([*command[:-1], port], capture_output=True, text=True)
        finally:
            running.terminate()
    assert about["backend"] == "server"
    assert about["test_accuracy"] > 0.5
    assert list(about["colors"]) == about["expressions"] == list(EXPRESSIONS)
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert "app.py: Address already in use" in second.stderr


def test_another_address_is_named_with_a_warning(root):
    command = [sys.executable, str(root / "app.py"), "--port", "0", "--host", "0.0.0.0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        warning = running.stderr.readline()
        running.terminate()
    assert "app.py: warning: anyone who can reach 0.0.0.0 can use this server" in warning
