"""The swap of a site: the old one or the new one, never half of one; and what is kept of older ones."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from ml.errors import UsageError
from ml.publishing.catalogue import COLLECTION_ITEMS, COLLECTIONS
from ml.publishing.pages import About, write_site
from ml.publishing.swap import KEPT, digest, swap_in


def site(text: str) -> dict[str, bytes]:
    return {"index.html": text.encode() * 50, "page.html": text.encode() * 50}


def versions(folder: Path) -> list[str]:
    return sorted(
        path.name for path in folder.with_name(f"{folder.name}.versions").iterdir() if path.is_dir()
    )


def test_a_site_is_written_where_it_is_asked_for_and_can_be_served(tmp_path: Path) -> None:
    tables = {"collections": COLLECTIONS.empty_table(), "collection_items": COLLECTION_ITEMS.empty_table()}
    about = About("seasonality", "12", date(2011, 11, 14), "9f2c")
    index = write_site(tables, about, tmp_path / "deep" / "site")
    assert index == tmp_path / "deep" / "site" / "index.html"
    assert "No collections this time" in index.read_text()
    assert index.parent.is_symlink()
    assert index.stat().st_mode & 0o044 == index.parent.stat().st_mode & 0o044 == 0o044
    assert not index.parent.readlink().is_absolute()


def test_the_same_site_again_is_the_same_version(tmp_path: Path) -> None:
    for _ in range(2):
        swap_in(site("a"), "12", tmp_path / "site")
    assert versions(tmp_path / "site") == [f"12-{digest(site('a'))}"]


def test_the_newest_versions_are_kept_and_one_put_back_counts_as_new(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    for text in "abcda":
        swap_in(site(text), text, folder)
    assert [name[0] for name in versions(folder)] == ["a", "c", "d"]
    swap_in(site("c"), "c", folder)
    swap_in(site("e"), "e", folder)
    assert [name[0] for name in versions(folder)] == ["a", "c", "e"]
    assert (folder / "index.html").read_bytes() == site("e")["index.html"]
    assert len(versions(folder)) == KEPT


@pytest.mark.parametrize("version", ["", "..", "../../x", "a/b", "ü" * 300, ".writing-x"])
def test_no_version_leaves_the_folder_of_versions(tmp_path: Path, version: str) -> None:
    swap_in(site("a"), version, tmp_path / "site")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site", "site.versions"]
    assert (tmp_path / "site" / "page.html").is_file()
    assert len(versions(tmp_path / "site")) == 1


def test_a_writer_that_fails_changes_nothing_and_the_next_one_clears_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    swap_in(site("a"), "1", folder)
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "page.html":
            raise OSError(28, "No space left on device")
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            swap_in(site("b"), "2", folder)
    assert (folder / "page.html").read_bytes() == site("a")["page.html"]
    swap_in(site("c"), "3", folder)
    assert [name[0] for name in versions(folder)] == ["1", "3"]


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_in_the_way_is_left_alone(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "site"
    if kind == "folder":
        (folder / "mine").mkdir(parents=True)
    elif kind == "file":
        folder.write_text("mine")
    else:
        folder.symlink_to(tmp_path)
    with pytest.raises(UsageError, match="in the way"):
        swap_in(site("a"), "1", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_dangling_link_of_ours_is_mended(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.symlink_to("site.versions/gone")
    swap_in(site("a"), "1", folder)
    assert (folder / "page.html").is_file()


READER = """
import sys, pathlib
page, stop = map(pathlib.Path, sys.argv[1:])
print("reading", flush=True)
seen = set()
while not stop.exists():
    seen.add(page.read_bytes().decode())
print(*sorted(seen))
"""


def test_a_reader_never_sees_half_of_a_site_nor_none(tmp_path: Path) -> None:
    folder, stop = tmp_path / "site", tmp_path / "stop"
    swap_in(site("a"), "a", folder)
    command = [sys.executable, "-c", READER, str(folder / "page.html"), str(stop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        for text in "bca" * 400:
            swap_in(site(text), text, folder)
        stop.touch()
        seen = reader.stdout.read().split()
    assert reader.returncode == 0
    assert set(seen) <= {text * 50 for text in "abc"}
    assert len(seen) > 1


def test_writers_of_one_folder_wait_for_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: swap_in(site(text), text, folder), "abcdefgh" * 4))
    assert (folder / "index.html").read_bytes() == (folder / "page.html").read_bytes()
    assert len(versions(folder)) == KEPT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site", "site.versions"]


def test_broken_publications_leave_the_old_site(tmp_path: Path) -> None:
    about = About("seasonality", "12", date(2011, 11, 14), "9f2c")
    swap_in(site("a"), "1", tmp_path / "site")
    with pytest.raises(UsageError):
        write_site({"labels": pa.table({"a": [1]})}, about, tmp_path / "site")
    assert (tmp_path / "site" / "page.html").read_bytes() == site("a")["page.html"]
