"""The dashboard as a door: who gets in, what a page may read, what an address can name."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from websockets.exceptions import InvalidStatus

from dashboard.gallery import tiles
from dashboard.shared import commands, thumbnails
from dashboard.shared.tables import table
from dashboard.views.train import form as train_form
from engine.data.import_predictions import import_run
from engine.runs.files import read_json
from engine.runs.fit_options import FitOptions
from engine.runs.run import Run
from engine.runs.run_list import list_runs
from tests.support.browser import Server
from tests.support.client import Session
from tests.support.pages import APP
from tests.support.run_folders import run_with
from tests.support.synthetic_runs import synthetic_run
from tests.support.tiny_images import image_bytes, kaggle, put, zipped

SECRET = "not-for-any-page-1f6c"


class House:
    """A running dashboard, its run, and what lies around it that nobody may see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run: Run = synthetic_run(folder, n=20, n_test=5, name="ours")
        decoy = folder / "decoy"
        put(
            decoy / "config.json",
            json.dumps({**read_json(self.run.folder / "config.json"), "name": SECRET}).encode(),
        )
        put(decoy / "status.json", b'{"state": "done"}')
        put(folder / "workspace" / "config.json", (decoy / "config.json").read_bytes())
        put(folder / "outside.jpg", image_bytes("cat", 5))
        self.server = Server(folder)
        self.port = int(self.server.url.rpartition(":")[2])

    def ask(
        self, path: str, method: str = "GET", host: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request as it is, without the niceties of a client."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", f"127.0.0.1:{self.port}" if host is None else host)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECONDLOOK_HOME", str(folder / "workspace"))
        patch.setenv("KAGGLE_API_TOKEN", SECRET)
        made = House(folder)
    yield made
    made.server.stop()


def test_it_listens_on_loopback_only(house: House) -> None:
    sockets = set()
    for link in Path(f"/proc/{house.server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed a moment ago
            sockets.add(os.readlink(link).removeprefix("socket:[").removesuffix("]"))
    listening = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                listening.append(fields[1])
    assert listening == [f"0100007F:{house.port:04X}"]  # 127.0.0.1, bytes reversed


PATHS = ["/", "/errors", "/_stcore/health", "/_stcore/host-config", "/media/a.jpg", "/static/x.js"]
HOSTS = [
    "evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example",
    "evil.example#127.0.0.1", "0.0.0.0:{port}", "10.0.0.1", "[::1]:{port}", "",
]  # fmt: skip
ORIGINS = [
    "http://evil.example", "https://127.0.0.1:{port}.evil.example", "http://127.0.0.1:1", "null",
    "http://localhost.evil.example:{port}", "file://", "http://evil.example/127.0.0.1:{port}",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_a_forged_host_is_refused(host: str, house: House) -> None:
    host = host.format(port=house.port)
    assert {house.ask(path, host=host)[0] for path in PATHS} == {400}
    with socket.create_connection(("127.0.0.1", house.port)) as raw:
        handshake = (
            f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        )
        raw.sendall(handshake.encode())
        assert re.match(rb"HTTP/1.1 [45]\d\d", raw.recv(100))


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_forged_origin_is_refused(origin: str, house: House) -> None:
    origin = origin.format(port=house.port)
    for method in ("GET", "POST", "PUT", "OPTIONS", "DELETE"):
        assert {house.ask(path, method, Origin=origin)[0] for path in PATHS} == {403}
    with pytest.raises(InvalidStatus) as refused:
        Session(house.server.url, Origin=origin)
    assert refused.value.response.status_code == 403


def test_the_person_gets_in(house: House) -> None:
    for host in (f"127.0.0.1:{house.port}", f"localhost:{house.port}"):
        assert house.ask("/", host=host, Origin=f"http://{host}")[0] == 200
    session = Session(house.server.url)
    for page in ("overview", "errors", "clip", "submit", "train"):
        assert "ours" in session.open(page, {"run": house.run.name})
    session.close()


@pytest.mark.parametrize(
    ("path", "host"),
    [("/", None), ("/_stcore/health", None), ("/static/none.js", None), ("/", "evil.example")],
)
def test_every_answer_keeps_the_page_to_itself(path: str, host: str | None, house: House) -> None:
    _, headers, _ = house.ask(path, host=host)
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy["script-src"] and "http" not in " ".join(policy.values())
    assert policy["object-src"] == policy["base-uri"] == "'none'"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/app/static/app.py", "/static/../../../dashboard/app.py", "/static/%2e%2e/%2e%2e/app.py",
        "/../../etc/passwd", "/static//etc/passwd", "/media/../../etc/passwd", "/%00",
        "/component/../../app.py", "/static/..%5c..%5capp.py", "//evil.example/x",
        "/_stcore/bidi-components/../../app.py",
    ],
)  # fmt: skip
def test_no_file_is_served(path: str, house: House) -> None:
    status, headers, body = house.ask(path)
    assert b"import " not in body and b"root:" not in body
    assert "evil" not in headers.get("location", "")
    assert status >= 400 or body == house.ask("/")[2]


@pytest.mark.parametrize(
    ("size", "status"), [("9", (400, 403)), (str(40 * 2**20), (413,)), ("many", (400, 411))]
)
def test_nothing_is_uploaded_but_by_a_page(
    size: str, status: tuple[int, ...], house: House
) -> None:
    path = "/_stcore/upload_file/0000-none/image"
    assert house.ask(path, "PUT", content_length=size)[0] in status


def test_the_agent_interface_is_off(house: House) -> None:
    status, _, body = house.ask("/_stcore/agent/interact", "POST", Content_Length="0")
    assert status in (403, 404, 405), body


RUNS = [
    "../decoy", "../../decoy", "..", ".", "/", "../", "{folder}/decoy", "..%2fdecoy", "runs/../..",
    "latest", "\0", "a" * 5000, "<script>", "*", "~", "CON", "%s",
]  # fmt: skip


def test_a_run_in_the_address_is_a_name_never_a_path(house: House) -> None:
    session = Session(house.server.url)
    for name in RUNS:
        for page in ("overview", "errors", "submit"):
            shown = session.open(page, {"run": name.format(folder=house.folder)})
            assert SECRET not in shown
            assert "ours" in shown or "is not in this workspace" in shown
    session.close()


def test_an_image_in_the_address_is_an_id_of_the_run(house: House) -> None:
    ours = house.run.predictions().ids[0].as_py()
    session = Session(house.server.url)
    large = session.open("errors", {"run": house.run.name, "picture": ours})
    plain = session.open("errors", {"run": house.run.name, "show": "all"})
    photos = plain.count("data:image/jpeg")
    assert large.count("data:image/jpeg") == photos + 1  # the large one
    for image_id in ("../outside.jpg", str(house.folder / "outside.jpg"), "/etc/passwd", "\0"):
        shown = session.open("errors", {"run": house.run.name, "picture": image_id})
        assert shown.count("data:image/jpeg") == photos
    session.close()


def test_a_path_in_the_predictions_shows_no_image_outside_the_runs_table(
    tmp_path: Path, workspace: Path
) -> None:
    outside = put(tmp_path / "outside.jpg", image_bytes("cat", 5))
    put(tmp_path / "images" / "a.jpg", image_bytes("dog", 6))
    rows = f"id,path,label,p_cat,p_dog\na,a.jpg,dog,0.2,0.8\nb,{outside},cat,0.9,0.1\n"
    rows += "c,../outside.jpg,cat,0.9,0.1\n"
    run = import_run(put(tmp_path / "theirs.csv", rows.encode()), tmp_path / "images").run
    shown = thumbnails.small(tiles.images_of(table(run.name), np.arange(3)))
    assert [bool(uri) for uri in shown] == [True, False, False]


def test_credentials_are_on_no_page_and_in_no_log(house: House) -> None:
    session = Session(house.server.url)
    for page in ("overview", "errors", "clip", "submit", "train"):
        assert SECRET not in session.open(page, {"run": house.run.name})
    session.close()
    assert SECRET not in house.server.errors()
    for file in (house.folder / "workspace" / "runs").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


def test_the_server_wrote_no_traceback(house: House) -> None:
    assert "Traceback" not in house.server.errors()


# What the Train page may read, once roots are set


def train_page(data: str) -> AppTest:
    app = (
        AppTest.from_file(str(APP), default_timeout=60)
        .run()
        .switch_page("views/train/page.py")
        .run()
    )
    app.text_input(key="train_data").set_value(data).run()
    assert not app.exception
    return app


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECONDLOOK_ROOTS", f"{tmp_path / 'allowed'}:{tmp_path / 'too'}")
    kaggle(tmp_path / "outside")
    kaggle(tmp_path / "allowed" / "data")
    return tmp_path


def test_a_folder_within_the_roots_is_shown(roots: Path) -> None:
    for data in (roots / "allowed" / "data", zipped(kaggle(roots / "too" / "zipped"))):
        app = train_page(str(data))
        assert not app.error and app.button(key="train_start")


def _link(roots: Path) -> str:
    (roots / "allowed" / "link").symlink_to(roots / "outside")
    return str(roots / "allowed" / "link")


def _linked_image(roots: Path) -> str:
    (roots / "allowed/data/train/cat.9.jpg").symlink_to(roots / "outside/train/cat.0.jpg")
    return str(roots / "allowed" / "data")


def _linked_archive(roots: Path) -> str:
    zipped(roots / "outside")
    (roots / "allowed" / "packed").mkdir()
    (roots / "allowed" / "packed" / "train.zip").symlink_to(roots / "outside" / "train.zip")
    return str(roots / "allowed" / "packed")


def _list_of_others(roots: Path) -> str:
    rows = [f"../outside/train/{label}.{n}.jpg,{label}" for label in ("cat", "dog") for n in (0, 1)]
    file = put(roots / "allowed" / "list.csv", "\n".join(["path,label", *rows]).encode())
    return str(file)


OUTSIDE = {
    "a folder outside": lambda roots: str(roots / "outside"),
    "the way up": lambda roots: str(roots / "allowed" / "data" / ".." / ".." / "outside"),
    "a name that begins alike": lambda roots: str(kaggle(roots / "allowed-not")),
    "a link out": _link,
    "an image that is a link out": _linked_image,
    "an archive that is a link out": _linked_archive,
    "a list of images outside": _list_of_others,
    "a device": lambda roots: "/dev/zero",
    "the root": lambda roots: "/",
    "somebody's home": lambda roots: "~",
    "a null byte": lambda roots: "/a\0b",
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_what_lies_outside_the_roots_is_refused(what: str, roots: Path, workspace: Path) -> None:
    app = train_page(OUTSIDE[what](roots))
    (error,) = app.error
    assert "outside the folders that may be read here" in error.value
    assert not [button for button in app.button if button.key == "train_start"]
    assert not list((workspace / "cache").rglob("*.jpg"))


def test_weights_outside_the_roots_are_refused(
    roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[FitOptions] = []
    monkeypatch.setattr(commands, "start_fit", started.append)
    chosen = {"weights": str(put(roots / "weights.pth", b"x"))}
    monkeypatch.setattr(train_form, "fit_choices", lambda preview: chosen)
    app = train_page(str(roots / "allowed" / "data"))
    app.button(key="train_start").click().run()
    assert not started and "outside the folders" in app.error[0].value


@pytest.mark.parametrize(
    "data", ["/dev/zero", "/dev/null", "/proc/self/mem", "/a\0b", "~no-such-user/x"]
)
def test_without_roots_a_device_is_refused_all_the_same(data: str, workspace: Path) -> None:
    run_with("vgg16", {"name": "queued", "class_names": []})
    assert len(list_runs()) == 1
    app = train_page(data)
    assert len(app.error) == 1 and "Traceback" not in app.error[0].value
