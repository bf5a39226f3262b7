import errno
import hashlib
import io
import logging
import socket
import time
import zipfile
from dataclasses import replace

import numpy as np
import pooch
import pytest
import requests
import scipy.io
from loopback import run_loopback

from hsijax.errors import HsijaxError
from hsijax.scenes import lookup
from hsijax.scenes.catalogue import SceneFile, SceneSheet
from hsijax.scenes.lookup import locate

CONTENT = np.random.default_rng(0).bytes(600_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with run_loopback() as loopback:
        yield loopback


@pytest.fixture(autouse=True)
def nothing_is_here(tmp_path, monkeypatch):
    """Keep the search away from what this machine happens to have."""
    monkeypatch.delenv("HSIJAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lookup, "SAMPLE_PACKAGES", {})


def make_sheet(*urls: str, **changes) -> SceneSheet:
    file = SceneFile(
        role="cube",
        names=("tiny.mat",),
        urls=urls,
        key="tiny",
        sha256=(SHA256,),
        size=len(CONTENT),
    )
    return SceneSheet(
        name="tiny-scene",
        title="Tiny",
        task="classification",
        files=(replace(file, **changes),),
        shape=(4, 5, 6),
        source="nobody",
    )


def get(sheet: SceneSheet, folder, **options):
    return locate(sheet, sheet.files[0], data_dir=folder, **options)


def list_files(folder) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def make_mat(shape=(4, 5, 6), value=1.0) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"tiny": np.full(shape, value)})
    return stream.getvalue()


def make_zip(name: str, content: bytes, mode: int = 0o100644) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return stream.getvalue()


def test_good_file_lands_whole_with_progress_and_is_found_again(server, tmp_path):
    calls = []
    sheet = make_sheet(server.serve("/a", "good", CONTENT))
    path = get(
        sheet, tmp_path / "d", progress=lambda *arguments: calls.append(arguments)
    )
    assert path.read_bytes() == CONTENT
    assert list_files(tmp_path) == ["tiny.mat"]
    stage, done, total, detail = calls[-1]
    assert (stage, done, total) == ("download tiny.mat", len(CONTENT), len(CONTENT))
    assert detail == "0.6 of 0.6 MB"
    assert len(calls) > 1
    assert get(sheet, tmp_path / "d") == path
    assert len(server.requests) == 1


def test_downloads_go_to_the_cache_without_data_dir(server, tmp_path):
    sheet = make_sheet(server.serve("/a", "good", CONTENT))
    assert get(sheet, None).is_relative_to(tmp_path / "cache")


@pytest.mark.parametrize(
    ("behaviour", "content"),
    [
        ("missing", b""),
        ("html", b""),
        ("disguised html", b""),
        ("good", CONTENT[:-1]),
        ("good", CONTENT + b"x"),
        ("good", bytes(len(CONTENT))),
    ],
)
def test_bad_mirror_is_passed_over(server, tmp_path, behaviour, content):
    bad, good = server.serve("/bad", behaviour, content), "/good"
    sheet = make_sheet(bad, server.serve(good, "good", CONTENT))
    assert get(sheet, tmp_path / "d").read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/bad", "/good"]
    assert list_files(tmp_path) == ["tiny.mat"]


def test_dropped_connection_goes_on_where_it_ended(server, tmp_path):
    sheet = make_sheet(server.serve("/a", "drops", CONTENT))
    assert get(sheet, tmp_path / "d").read_bytes() == CONTENT
    (_, first), (_, second) = server.requests
    assert first is None
    kept = int(second.removeprefix("bytes=").removesuffix("-"))
    assert len(CONTENT) // 3 < kept <= len(CONTENT) // 2


@pytest.mark.parametrize("behaviour", ["good", "ignores range"])
@pytest.mark.parametrize(
    "part", [CONTENT[:1000], b"from another mirror", CONTENT + b"too long"]
)
def test_part_of_an_earlier_attempt_ends_right(server, tmp_path, behaviour, part):
    folder = tmp_path / "d" / "tiny-scene"
    folder.mkdir(parents=True)
    (folder / ".tiny.part.mat").write_bytes(part)
    sheet = make_sheet(server.serve("/a", behaviour, CONTENT))
    assert get(sheet, tmp_path / "d").read_bytes() == CONTENT
    assert list_files(tmp_path) == ["tiny.mat"]
    if part == CONTENT[:1000]:
        assert server.requests == [("/a", "bytes=1000-")]


def test_whole_part_is_not_downloaded_again(server, tmp_path):
    folder = tmp_path / "d" / "tiny-scene"
    folder.mkdir(parents=True)
    (folder / ".tiny.part.mat").write_bytes(CONTENT)
    sheet = make_sheet(server.serve("/a", "good", CONTENT))
    assert get(sheet, tmp_path / "d").read_bytes() == CONTENT
    assert server.requests == []


def test_failure_names_each_mirror_and_says_what_to_do(server, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{unused.getsockname()[1]}"
        begin = time.monotonic()
        sheet = make_sheet(
            server.serve("/bad", "missing"),
            server.serve("/page", "html"),
            f"http://{closed}/tiny.mat",
            "https://example.org/tiny.rar",
        )
        with pytest.raises(HsijaxError) as caught:
            get(sheet, tmp_path / "d")
        assert time.monotonic() - begin < 5
    message = str(caught.value)
    assert len(message.splitlines()) == 2
    host = server.address.removeprefix("http://")
    assert f"{host}: HTTP 404" in message
    assert f"{host}: an HTML page" in message
    assert f"{closed}: connection refused" in message
    assert "example.org: a .rar archive" in message
    assert "--data-dir" in message
    assert SHA256 in message
    assert "samples" not in message
    assert list_files(tmp_path) == []
    assert not (tmp_path / "d" / "tiny-scene").exists()


def test_failure_points_to_the_samples_that_have_the_scene(server, tmp_path):
    sheet = replace(make_sheet(server.serve("/bad", "missing")), in_samples=True)
    with pytest.raises(HsijaxError, match=r"pip install 'hsijax\[samples\]'"):
        get(sheet, tmp_path / "d")


def test_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("hsijax.scenes.transfer.READ_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        with pytest.raises(HsijaxError, match="no answer in time"):
            get(make_sheet(url), tmp_path / "d")


def test_file_without_known_hash_is_checked_by_content(server, tmp_path, caplog):
    right = make_mat()  # it has the time in it
    sheet = make_sheet(
        server.serve("/flat", "good", make_mat(shape=(4, 6))),
        server.serve("/cut", "good", right[:-40]),
        server.serve("/right", "good", right),
        sha256=(),
        size=None,
    )
    with caplog.at_level(logging.INFO, "hsijax"):
        path = get(sheet, tmp_path / "d")
    assert path.read_bytes() == right
    assert "no hash of tiny.mat is known" in caplog.text
    assert list_files(tmp_path) == ["tiny.mat"]


def test_parts_of_two_mirrors_are_not_joined_without_a_hash(server, tmp_path):
    first, second = (make_mat((40, 50, 60), value) for value in (1.0, 2.0))
    sheet = make_sheet(
        server.serve("/first", "breaks", first),
        server.serve("/second", "good", second),
        sha256=(),
        size=None,
    )
    sheet = replace(sheet, shape=(40, 50, 60))
    assert get(sheet, tmp_path / "d").read_bytes() == second
    assert [path for path, _ in server.requests] == ["/first", "/first", "/second"]
    assert list_files(tmp_path) == ["tiny.mat"]


def test_failure_without_hash_says_what_did_not_fit(server, tmp_path):
    flat = server.serve("/flat", "good", make_mat(shape=(4, 6)))
    with pytest.raises(HsijaxError, match=r"4 x 6.*not 4 x 5 x 6"):
        get(make_sheet(flat, sha256=(), size=None), tmp_path / "d")


@pytest.mark.parametrize("behaviour", ["good", "drops"])
def test_member_comes_out_of_an_archive(server, tmp_path, behaviour):
    archive = make_zip("GroundTruth/tiny.mat", CONTENT)
    sheet = make_sheet(
        server.serve("/gt.zip/1f2e", behaviour, archive), archive_member="tiny.mat"
    )
    assert get(sheet, tmp_path / "d").read_bytes() == CONTENT
    assert list_files(tmp_path) == ["tiny.mat"]


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (make_zip("../../tiny.mat", CONTENT), "points out of the archive"),
        (make_zip("/tmp/tiny.mat", CONTENT), "points out of the archive"),
        (make_zip("C:/tiny.mat", CONTENT), "points out of the archive"),
        (make_zip("tiny.mat", b"/etc/passwd", mode=0o120777), "is a link"),
        (make_zip("tiny.mat", CONTENT + b"x"), "would unpack to 600001 bytes"),
        (make_zip("tiny.mat", CONTENT[1:]), "599,999 bytes in place of 600,000"),
        (make_zip("other.mat", CONTENT), "no 'tiny.mat' in the archive"),
        (make_zip("tiny.mat", CONTENT)[:-9], "cannot be unpacked"),
    ],
)
def test_bad_archive_is_refused(server, tmp_path, archive, reason):
    sheet = make_sheet(
        server.serve("/gt.zip", "good", archive), archive_member="tiny.mat"
    )
    with pytest.raises(HsijaxError, match=reason):
        get(sheet, tmp_path / "d")
    assert list_files(tmp_path) == []


def test_another_file_in_the_way_is_left_alone(server, tmp_path):
    mine = tmp_path / "d" / "tiny-scene" / "tiny.mat"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    sheet = make_sheet(server.serve("/a", "good", CONTENT))
    with pytest.raises(HsijaxError, match="in the way"):
        get(sheet, tmp_path / "d")
    assert mine.read_bytes() == b"mine"


def test_damaged_file_in_the_cache_is_replaced(server):
    damaged = lookup.cache_folder() / "tiny-scene" / "tiny.mat"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(CONTENT[:100])
    sheet = make_sheet(server.serve("/a", "good", CONTENT))
    assert get(sheet, None).read_bytes() == CONTENT
    # Nor is one taken of which no hash is known.
    right = make_mat()
    damaged.write_bytes(right[:-40])
    sheet = make_sheet(server.serve("/b", "good", right), sha256=(), size=None)
    assert get(sheet, None).read_bytes() == right


def test_folder_that_cannot_be_made_is_an_error(server, tmp_path):
    (tmp_path / "file").touch()
    sheet = make_sheet(server.serve("/a", "good", CONTENT))
    with pytest.raises(HsijaxError, match="could not write to"):
        get(sheet, tmp_path / "file" / "d")


def test_full_disk_is_an_error_and_leaves_nothing(server, tmp_path, monkeypatch):
    def fail(self, size):
        yield CONTENT[:10]
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(requests.Response, "iter_content", fail)
    sheet = make_sheet(server.serve("/a", "good", CONTENT))
    with pytest.raises(HsijaxError, match="the disk is full"):
        get(sheet, tmp_path / "d")
    assert list_files(tmp_path) == []


def test_pooch_stays_silent(server, tmp_path, capfd, monkeypatch):
    logger = pooch.get_logger()
    logger.setLevel(logging.INFO)
    said = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", said.append)
    monkeypatch.setattr(logger, "handlers", [handler])
    get(make_sheet(server.serve("/a", "good", CONTENT)), tmp_path / "d")
    assert said == []
    assert capfd.readouterr() == ("", "")
