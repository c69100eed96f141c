from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mrqc.errors import InputError
from mrqc.files import check_destination, write_files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    write_files({tmp_path / "a.c": "int é;\n", tmp_path / "a.h": b"\x00\xff"})
    assert (tmp_path / "a.c").read_bytes() == "int é;\n".encode()
    assert (tmp_path / "a.h").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.c", "a.h"]


def test_none_is_written_if_one_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("old")
    (tmp_path / "a.h").mkdir()
    with pytest.raises(InputError, match=r"a\.h: cannot be written: it is a directory"):
        write_files({tmp_path / "a.c": "new", tmp_path / "a.h": "new"})
    assert (tmp_path / "a.c").read_text() == "old"
    assert names(tmp_path) == ["a.c", "a.h"]


def test_a_failure_of_the_system_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.c").write_text("old")

    def fail(*_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match=r"a\.c: cannot be written: No space left on device"):
        write_files({tmp_path / "a.c": "new"})
    assert (tmp_path / "a.c").read_text() == "old"
    assert names(tmp_path) == ["a.c"]


def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    (tmp_path / "real.c").write_text("old")
    (tmp_path / "real.c").chmod(0o640)
    (tmp_path / "link.c").symlink_to(tmp_path / "real.c")
    write_files({tmp_path / "link.c": "new"})
    assert (tmp_path / "link.c").is_symlink()
    assert (tmp_path / "real.c").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real.c").stat().st_mode) == 0o640


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    write_files({tmp_path / "new": ""})
    (tmp_path / "usual").write_text("")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_files({Path(os.devnull): "gone"})
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_very_long_name_is_possible(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    write_files({path: "x"})
    assert path.read_text() == "x"


def test_destinations_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a directory"):
        check_destination(tmp_path)
    with pytest.raises(InputError, match=r"there is no directory .*gone"):
        check_destination(tmp_path / "gone" / "a.c")
    with pytest.raises(InputError, match=r"file is not a directory"):
        check_destination(tmp_path / "file" / "a.c")
    check_destination(tmp_path / "new.c")
    check_destination(Path("new.c"))
