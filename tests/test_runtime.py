"""A command line ends in one sentence and an exit code, whatever goes wrong."""

import os
import signal
import textwrap
from importlib.util import find_spec
from pathlib import Path

import processes
import pytest

from utils import runtime
from utils.runtime import ModelError

HINT = f"{runtime.DEBUG}=1 shows where"
HEAD = "import sys\nfrom utils import runtime\nsys.argv = ['folder/command.py']\n"


def script(body):
    """Write a script whose ``main`` is these lines."""
    return f"{HEAD}def main():\n{textwrap.indent(body, '    ')}\nruntime.run_command(main)"


def run(body, **environment):
    return processes.run("-c", script(body), **{runtime.DEBUG: "", **environment})


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("return None", 0, ""),
        ("return 3", 3, ""),
        ("raise runtime.DataError('a.csv: no face')", 1, "command.py: a.csv: no face"),
        ("raise runtime.ModelError('two\\nlines')", 1, "command.py: two lines"),
        ("open('no/such')", 1, "command.py: No such file or directory: no/such"),
        ("raise runtime.DataError('\\x1b[2Jred\\x07')", 1, "command.py: \\x1b[2Jred\\x07"),
        ("raise MemoryError", 1, f"command.py: MemoryError: no message ({HINT})"),
        ("1 / 0", 1, f"command.py: ZeroDivisionError: division by zero ({HINT})"),
    ],
)
def test_what_goes_wrong_is_one_sentence(body, code, said):
    assert run(body) == (code, "", f"{said}\n" if said else "")


def test_debug_shows_where_an_unforeseen_error_came_from():
    code, _, err = run("1 / 0", **{runtime.DEBUG: "1"})
    assert code == 1
    assert "Traceback" in err
    assert "in main" in err


def test_ctrl_c_is_130_and_one_word():
    waits = script("import time\nprint('ready', flush=True)\ntime.sleep(60)")
    process = processes.start("-c", waits)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", "command.py: stopped\n")


def test_a_closed_pipe_ends_without_a_word():
    process = processes.start("-c", script("while True: print('a line')"))
    process.stdout.readline()
    process.stdout.close()
    assert process.wait() == 141
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full disk")
def test_a_full_disk_is_an_error():
    code, _, err = run("sys.stdout = open('/dev/full', 'w')\nprint('a result')")
    assert (code, err) == (1, "command.py: No space left on device\n")


@pytest.mark.parametrize(
    ("backend", "said"),
    [("foo", "unknown Keras backend 'foo'"), ("torch", "backend 'torch' cannot be imported")],
)
def test_a_backend_that_is_not_there_is_one_sentence(backend, said):
    if find_spec(backend):
        pytest.skip(f"{backend} is installed")
    code, out, err = run("runtime.setup()", KERAS_BACKEND=backend)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1]", "found list"),
        ("null", "found NoneType"),
        ("{", "JSON"),
        ("\x00\xff", "JSON"),
        ("[" * 100_000, "JSON"),
        (None, "no such"),
    ],
)
def test_what_is_no_record_names_itself(tmp_path, content, said):
    path = tmp_path / "a-run" / "run.json"
    path.parent.mkdir()
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(ModelError, match=rf"a-run/run\.json.*{said}"):
        runtime.read_json(path)


def test_a_command_is_recorded_as_it_can_be_given_again(tmp_path):
    told = "from utils import runtime; print(runtime.command_line())"
    (tmp_path / "train.py").write_text(told)
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "__main__.py").write_text(told)
    for start, kept in ((["train.py"], "train.py"), (["-m", "room"], "python -m room")):
        paths = f"{runtime.ROOT}{os.pathsep}{tmp_path}"
        said = processes.run(*start, "--note", "two words", cwd=tmp_path, PYTHONPATH=paths)
        assert said == (0, f"{kept} --note 'two words'\n", "")
