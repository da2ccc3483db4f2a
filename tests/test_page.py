"""The page in a real browser, with a camera that plays a video: both backends, every state."""

import base64
import functools
import http.server
import io
import shutil
import tarfile
import threading
import wave

import cv2
import numpy as np
import pytest
from PIL import Image
from pngs import png
from werkzeug.serving import make_server

import app
from utils import faces, inference, photos
from utils.expressions import EXPRESSIONS
from utils.runtime import DataError
from web import site

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is absent")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="Chromium is absent (Debian: apt install chromium)"),
]
AXE = (
    "axe-core",
    "4.14.1",
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)
WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 360, "height": 740}


# ------------------------------------------------------------------ what it is shown


@pytest.fixture(scope="module")
def portrait():
    return faces.read_photo(app.PHOTOS / "astronaut.jpg")


def scene(portrait, at=0):
    """Put the portrait's face on gray, between a black edge and a white one; `at` moves it."""
    pixels = np.full((240, 320, 3), 128, np.uint8)
    pixels[:, :20], pixels[:, -20:] = 0, 255
    pixels[30:210, 60 + at // 4 : 240 + at // 4] = portrait[20:200, 130:310]
    pixels[:20] = at  # the time, to be read back
    return pixels


@pytest.fixture(scope="module")
def video(portrait, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "video.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"VP80"), 10, (320, 240))
    for at in range(0, 240, 2):  # 12 seconds
        writer.write(scene(portrait, at)[..., ::-1])
    writer.release()
    return path


@pytest.fixture(scope="module")
def camera(portrait, tmp_path_factory):
    path = tmp_path_factory.mktemp("camera") / "camera.y4m"
    frame = cv2.cvtColor(scene(portrait), cv2.COLOR_RGB2YUV_I420).tobytes()
    path.write_bytes(b"YUV4MPEG2 W320 H240 F10:1 Ip A1:1 C420\n" + 2 * (b"FRAME\n" + frame))
    return path


# ------------------------------------------------------------------ who shows it


def serve(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def serve_folder(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    where = functools.partial(Quiet, directory=folder)
    return serve(http.server.ThreadingHTTPServer(("127.0.0.1", 0), where))


@pytest.fixture(scope="module")
def server():
    """The address of `app.py`'s application."""
    running = serve(
        make_server("127.0.0.1", 0, app.create(*photos.load(inference.DEFAULT)), threaded=True)
    )
    yield f"http://127.0.0.1:{running.server_port}/"
    running.shutdown()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the static page in ``course/``, as GitHub Pages serves a project's."""
    folder = tmp_path_factory.mktemp("pages")
    try:
        site.build(folder / "course")
    except DataError as error:
        if "npm" in str(error):
            pytest.skip(f"onnxruntime-web is not available: {error}")
        raise
    return folder


@pytest.fixture(scope="module")
def static(built):
    running = serve_folder(built)
    yield f"http://127.0.0.1:{running.server_port}/course/"
    running.shutdown()


@pytest.fixture(params=["server", "static"])
def address(request):
    """Either backend's page."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def chromium(camera):
    with playwright.sync_playwright() as running:
        yield running.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={camera}",
                "--host-resolver-rules=MAP insecure.example 127.0.0.1",
            ],
        )


@pytest.fixture
def visit(chromium):
    """Open an address in a fresh profile; afterward check that nothing went wrong unseen."""
    contexts, wrong = [], []

    def go(address, *, camera=True, before="", size=WIDE, scheme="light"):
        context = chromium.new_context(viewport=size, color_scheme=scheme)
        context.set_default_timeout(60_000)
        context.grant_permissions(["camera"] if camera else [])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda said: wrong.append(said.text) if "Content Security" in said.text else None,
        )
        # The stream that the page is given, so that a test can look at it.
        page.add_init_script("""
            const media = navigator.mediaDevices;
            const ask = media?.getUserMedia.bind(media);
            if (ask) media.getUserMedia = async (asked) => (window.stream = await ask(asked));
        """)
        if before:
            page.add_init_script(before)
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


def until(page, expression, argument=None):
    """Wait until JavaScript says yes; the page's policy forbids Playwright's own wait."""
    for _ in range(600):
        if page.evaluate(expression, argument):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never: {expression}, {page.inner_text('main')}")


def answered(page):
    """Wait until one face is found: a camera's first frame may be black; return the summary."""
    until(page, "summary.textContent.startsWith('1 face')")
    return page.inner_text("#summary")


def problem(page, word=""):
    """Wait for a problem that names something; return its sentence."""
    until(page, "(word) => problem.textContent && problem.textContent.includes(word)", word)
    return page.inner_text("#problem")


def level(page, x, y=0.5):
    """Return the mean of red, green and blue at a fraction of the shown picture's sides."""
    return page.evaluate(
        """([x, y]) => {
            const canvas = document.getElementById("picture");
            const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1];
            const [r, g, b] = canvas.getContext("2d").getImageData(...at).data;
            return (r + g + b) / 3;
        }""",
        [x, y],
    )


def bars(page):
    rows = page.locator("#faces li").first.locator("tr").all_inner_texts()
    return {name: int(share.rstrip("%")) for name, _, share in (row.split("\t") for row in rows)}


# ------------------------------------------------------------------ photos


def test_a_portrait_is_answered(visit, address):
    page = visit(address)
    assert "% of FER2013" in page.inner_text("#quality")
    assert "forbidden to infer people’s emotions" in page.inner_text("#notes")
    assert "stay on this machine" in page.inner_text("#privacy")
    page.click("#samples button")
    assert answered(page).startswith("1 face: happy 9")
    assert list(bars(page)) == list(EXPRESSIONS)
    assert page.inner_text("#spoken") == page.inner_text("#summary")
    assert "happy" in page.get_attribute("#picture", "aria-label")
    assert page.is_hidden("#controls")


def test_a_photo_is_turned_as_its_exif_says(visit, address, portrait, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it to the right to see it upright
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(portrait[:, 60:400])))
    lying.save(tmp_path / "фото 写真 '<b>.jpg", exif=exif, quality=95)
    page = visit(address)
    page.set_input_files("#photo", tmp_path / "фото 写真 '<b>.jpg")
    assert answered(page).startswith("1 face: happy")
    size = page.evaluate("[picture.width, picture.height]")
    assert size == [340, 512]


def test_what_is_not_a_photo_or_video_is_named(visit, server, tmp_path, video):
    (tmp_path / "notes.png").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "huge.png").write_bytes(png(20_000, 20_000, rows=bytes(72)))
    (tmp_path / "notes.mp4").write_text("not a video")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 8000, "NONE", ""))
        sound.writeframes(bytes(16_000))
    page = visit(server)
    for name in ("notes.png", "empty.jpg", "huge.png"):
        page.set_input_files("#photo", tmp_path / name)
        assert "expected" in problem(page, name)
        assert page.inner_text("#summary") == "Nothing to look at yet."
    for name in ("notes.mp4", "sound.wav"):
        page.set_input_files("#video", tmp_path / name)
        assert "expected" in problem(page, name)
    page.set_input_files("#video", video)  # and the page still works
    answered(page)
    assert page.inner_text("#problem") == ""


def test_a_server_that_is_gone_is_named(visit, server):
    page = visit(server)
    page.route("**/api/analyze*", lambda route: route.abort())
    page.click("#samples button")
    assert "python app.py" in problem(page)


# ------------------------------------------------------------------ videos


def test_a_video_is_played_moved_and_stopped(visit, address, video):
    page = visit(address)
    page.set_input_files("#video", video)
    answered(page)
    page.click("#pause")
    assert page.inner_text("#pause") == "Resume"
    assert page.is_visible("#minute")
    assert page.is_hidden("#cameras-label")
    for time, moment in ((2.6, 52), (0.4, 8)):
        page.evaluate(
            "(time) => { seek.value = time; seek.dispatchEvent(new Event('input')); }", time
        )
        until(
            page,
            """(moment) => {
                const [level] = picture.getContext("2d").getImageData(160, 5, 1, 1).data;
                return Math.abs(level - moment) < 4;
            }""",
            moment,
        )
    page.click("#stop")
    assert page.inner_text("#summary") == "Stopped."
    assert page.is_hidden("#controls")


def test_boxes_are_drawn_on_the_frame_that_was_analyzed(visit, server, video):
    sent = []
    page = visit(server)

    def hold(route):
        sent.append(route.request.post_data_buffer)
        if len(sent) > 2:
            return  # the third is never answered, and the video plays on
        route.fulfill(json={"width": 320, "height": 240, "faces": []})

    page.route("**/api/analyze*", hold)
    page.set_input_files("#video", video)
    for _ in range(200):
        page.wait_for_timeout(50)
        if len(sent) > 2:
            break
    page.wait_for_timeout(500)
    moments = [np.asarray(Image.open(io.BytesIO(body)))[5, 160].mean() for body in sent]
    assert moments[2] > moments[1]
    assert abs(level(page, 0.5, 0.02) - moments[1]) < 3


# ------------------------------------------------------------------ the camera


def test_the_camera_starts_by_a_click_is_mirrored_and_let_go(visit, address):
    page = visit(address)
    assert page.evaluate("window.stream") is None
    assert "you have allowed" in page.inner_text("#camera-state")
    page.click("#camera")
    answered(page)
    assert level(page, 0.01) > 200 > 50 > level(page, 0.99)  # the white edge is on the left now
    filled = "strip.getContext('2d').getImageData(0, 0, 600, 80).data.some((level) => level > 0)"
    until(page, filled)
    page.click("#stop")
    assert page.evaluate("stream.getTracks().map((track) => track.readyState)") == ["ended"]
    assert page.evaluate("document.activeElement.id") == "camera"
    assert page.inner_text("#summary") == "Stopped."


def test_a_back_camera_is_not_mirrored(visit, server):
    facing = "MediaStreamTrack.prototype.getSettings = () => ({ facingMode: 'environment' });"
    page = visit(server, before=facing)
    page.click("#camera")
    answered(page)
    assert level(page, 0.01) < 50 < 200 < level(page, 0.99)


def test_a_camera_that_is_denied_is_named(visit, address):
    page = visit(address, camera=False)
    assert "blocks the camera" in page.inner_text("#camera-state")
    page.click("#camera")
    assert "was not allowed" in problem(page)
    page.context.grant_permissions(["camera"])
    until(page, "/you have allowed/.test(document.body.textContent)")
    page.click("#camera")
    answered(page)
    assert page.inner_text("#problem") == ""


FAILING = """(name) => {
    navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("why", name); };
}"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NotFoundError", "No camera was found"),
        ("NotReadableError", "in use by another program"),
        ("OverconstrainedError", "cannot provide the requested picture"),
        ("AbortError", "stopped while it was starting"),
        ("SecurityError", "settings forbid the camera"),
        ("InvalidStateError", "could not be used: why"),
    ],
)
def test_each_way_a_camera_fails_has_its_sentence(visit, server, name, said):
    page = visit(server)
    page.evaluate(FAILING, name)
    page.click("#camera")
    assert said in problem(page)


def test_a_camera_that_leaves_is_named(visit, server):
    page = visit(server)
    page.click("#camera")
    answered(page)
    page.evaluate("stream.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    assert "The camera stopped" in problem(page)
    assert page.is_hidden("#controls")


def test_without_a_secure_context_the_camera_is_not_offered(visit, static):
    page = visit(static.replace("127.0.0.1", "insecure.example"), camera=False)
    assert "needs https" in page.inner_text("#camera-state")
    page.click("#camera")
    assert "needs https" in problem(page)
    page.click("#samples button")
    answered(page)


def test_a_hidden_tab_pauses(visit, server):
    sent = []
    page = visit(server)
    page.on("request", lambda request: sent.append(request.url))
    page.click("#camera")
    answered(page)

    def hide(yes):
        # A headless browser cannot hide a tab: the page is told what a real one would tell it.
        page.evaluate(
            "(yes) => { Object.defineProperty(document, 'hidden', "
            "{ value: yes, configurable: true }); "
            "document.dispatchEvent(new Event('visibilitychange')); }",
            yes,
        )

    hide(True)
    page.wait_for_timeout(1000)  # a frame already sent is answered
    before = len(sent)
    page.wait_for_timeout(1500)
    assert len(sent) == before
    hide(False)
    page.wait_for_timeout(3000)
    assert len(sent) > before
    page.click("#pause")  # paused before it was hidden, it stays paused
    hide(True)
    hide(False)
    assert page.inner_text("#pause") == "Resume"


# ------------------------------------------------------------------ for everyone


def test_the_keyboard_alone_is_enough(visit, server):
    page = visit(server)

    def go_to(what):
        for _ in range(30):
            page.keyboard.press("Tab")
            active = page.evaluate(
                """() => {
                    const one = document.activeElement, seen = one.closest("label.button") ?? one;
                    const { outlineStyle, outlineWidth } = getComputedStyle(seen);
                    return [one.id || one.textContent, outlineStyle, parseInt(outlineWidth)];
                }"""
            )
            assert active[1] == "solid", active
            assert active[2] >= 2, active
            if what in active[0]:
                return
        raise AssertionError(f"no way to {what}")

    for control in ("photo", "video", "camera", "Eileen Collins"):
        go_to(control)
    page.keyboard.press("Enter")
    answered(page)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    go_to("camera")
    page.keyboard.press("Enter")
    answered(page)
    go_to("pause")
    page.keyboard.press("Space")
    assert page.inner_text("#pause") == "Resume"
    go_to("stop")
    page.keyboard.press("Enter")
    assert page.inner_text("#summary") == "Stopped."


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_it_fits_and_axe_finds_nothing(visit, server, scheme, size):
    page = visit(server, scheme=scheme, size=size)
    with tarfile.open(axe()) as packed:
        page.evaluate(packed.extractfile("package/axe.min.js").read().decode() + "; null")

    def check(state):
        found = page.evaluate("axe.run().then(({ violations }) => violations)")
        told = [(one["id"], one["nodes"][0]["html"]) for one in found]
        assert told == [], state
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], state
        for high in page.evaluate(
            "[...document.querySelectorAll('button, .button, select')]"
            ".map((one) => one.getBoundingClientRect().height).filter(Boolean)"
        ):
            assert high >= 44, state

    check("at first")
    page.click("#samples button")
    answered(page)
    check("a photo")
    page.click("#camera")
    page.wait_for_selector("#stop:visible")
    answered(page)
    page.click("#pause")
    check("the camera")
    page.evaluate(FAILING, "NotFoundError")
    page.click("#camera")
    problem(page)
    check("a problem")


def axe():
    try:
        return site.package(*AXE)
    except DataError as error:
        return pytest.skip(f"axe-core is not available: {error}")


# ------------------------------------------------------------------ the same without a server


def drawn(portrait, count):
    """Draw photos of a face: moved, turned, mirrored, lit, blurred; every fifth on its side."""
    rng = np.random.default_rng(14)
    for number in range(count):
        degrees, scale = rng.uniform(-15, 15), rng.uniform(0.4, 1.6)
        turn = cv2.getRotationMatrix2D((226, 118), degrees, scale)
        turn[:, 2] += rng.uniform(60, 140, 2)
        photo = cv2.warpAffine(portrait, turn, (640, 427), borderMode=cv2.BORDER_REFLECT)
        photo = photo.astype(float) * rng.uniform(0.5, 1.2) + rng.normal(0, 6, photo.shape)
        photo = np.clip(photo, 0, 255).astype(np.uint8)
        if number % 2:
            photo = photo[:, ::-1]
        yield np.ascontiguousarray(np.rot90(photo, 1 if number % 5 == 4 else 0))


ANALYZE = """async (pictures) => {
    const { prepare } = await import(new URL("analyze.js", location));
    const analyze = await prepare(await (await fetch("network.json")).json());
    const found = [];
    for (const picture of pictures) {
        const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
        const bitmap = await createImageBitmap(new Blob([bytes]));
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
        canvas.getContext("2d").drawImage(bitmap, 0, 0);
        found.push(await analyze(canvas, false));
    }
    return { found, runs: analyze.runs };
}"""


def test_50_faces_are_named_in_the_browser_as_in_python(visit, server, static, portrait):
    classifier, pictures, expected = inference.load(), [], []
    for photo in drawn(portrait, 50):
        content = io.BytesIO()
        Image.fromarray(photo).save(content, "PNG")
        pictures.append(base64.b64encode(content.getvalue()).decode())
        expected.append([face.as_json() for face in photos.find(photo, classifier)])
    assert sum(map(len, expected)) >= 50
    for address, count in ((server, 10), (static, 50)):
        answers = visit(address).evaluate(ANALYZE, pictures[:count])
        assert answers["runs"] == (None if address == server else "wasm")
        for answer, named in zip(answers["found"], expected[:count], strict=True):
            assert len(answer["faces"]) == len(named)
            for one, other in zip(answer["faces"], named, strict=True):
                assert list(one["box"].values()) == pytest.approx(
                    list(other["box"].values()), abs=0.05
                )
                shares = [
                    [face["probabilities"][name] for name in EXPRESSIONS] for face in (one, other)
                ]
                assert shares[0] == pytest.approx(shares[1], abs=0.01)


def test_after_the_first_visit_it_works_offline(visit, built):
    running = serve_folder(built)
    page = visit(f"http://127.0.0.1:{running.server_port}/course/")
    page.click("#samples button")
    before = answered(page)
    running.shutdown()
    running.server_close()
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.click("#samples button")
    assert answered(page) == before


def test_it_works_where_its_service_worker_cannot_be_installed(visit, built, tmp_path):
    folder = shutil.copytree(built, tmp_path / "pages")
    with (folder / "course" / "sw.js").open("a", encoding="utf-8") as script:
        script.write('addEventListener("install", (event) => event.waitUntil(Promise.reject()));')
    running = serve_folder(folder)
    page = visit(f"http://127.0.0.1:{running.server_port}/course/")
    page.click("#samples button")
    assert answered(page).startswith("1 face: happy 9")
    running.shutdown()


def test_an_archive_that_was_changed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "BUILD", tmp_path)
    (tmp_path / "onnxruntime-web-1.30.0.tgz").write_bytes(b"changed")
    with pytest.raises(DataError, match="not the file that was tested"):
        site.package(*site.RUNTIME, site.INTEGRITY)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="holds something other than a site"):
        site.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
