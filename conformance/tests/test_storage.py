"""Folders that work goes on from: a file that is not as it was written is named, and never trusted."""

import json
import math
import re

import pytest

from xbce_conformance.storage import CheckpointFolder, OtherPlan


@pytest.fixture
def said():
    return []


@pytest.fixture
def folder(tmp_path, said):
    made = CheckpointFolder(tmp_path, {"what": "exp"}, kind="measurement", part="chunk", say=said.append)
    for number in range(3):
        made.keep(number, {"count": 12345, "error": math.inf, "of": [1.5, None]})
    return made


def change_a_digit(file):
    text = file.read_text("utf-8")
    assert text.count("12345") == 1
    file.write_text(text.replace("12345", "12346"), "utf-8")


def cut_off(file):
    file.write_bytes(file.read_bytes()[:-20])


def of_an_older_version(file):
    file.write_text(json.dumps(json.loads(file.read_text("utf-8"))["data"]), "utf-8")


def of_another_number(file):
    file.write_bytes(file.with_name("chunk-00002.json").read_bytes())


CORRUPT = {
    "empty": (lambda file: file.write_bytes(b""), "it is no JSON: "),
    "cut off": (cut_off, "it is no JSON: "),
    "no text": (lambda file: file.write_bytes(b"\xff\x00"), "it is no JSON: "),
    "a changed digit": (change_a_digit, "its checksum is another"),
    "of another number": (of_another_number, "its checksum is another"),
    "of an older version": (of_an_older_version, "it has no checksum"),
}


def test_what_is_kept_is_read(folder, said):
    assert folder.done() == {0, 1, 2}
    assert dict(folder.read())[1] == {"count": 12345, "error": math.inf, "of": [1.5, None]}
    assert said == []


@pytest.mark.parametrize("how", CORRUPT)
def test_a_corrupt_part_is_named_and_done_again(folder, tmp_path, said, how):
    spoil, reason = CORRUPT[how]
    file = tmp_path / "chunk-00001.json"
    spoil(file)
    assert folder.done() == {0, 2}
    assert [number for number, _ in folder.read()] == [0, 2]
    (text,) = said  # named once, however often the folder is read
    assert re.fullmatch(rf"{re.escape(str(file))} is corrupt \({reason}.*\); its chunk is done again", text)
    folder.keep(1, "again")
    assert dict(folder.read())[1] == "again"


@pytest.mark.usefixtures("folder")
def test_a_part_of_another_plan_does_not_count(tmp_path, said):
    """Also where its plan was removed."""
    (tmp_path / "plan.json").unlink()
    other = CheckpointFolder(tmp_path, {"what": "log"}, kind="measurement", part="chunk", say=said.append)
    assert other.done() == set()
    assert len(said) == 3


@pytest.mark.parametrize("how", ["empty", "cut off", "of an older version"])
def test_a_corrupt_plan_is_named_with_what_to_do(folder, tmp_path, how):
    CORRUPT[how][0](tmp_path / "plan.json")
    assert folder.done()
    with pytest.raises(OtherPlan, match=r"plan\.json is corrupt \(.*\): .*; name another folder, or remove it"):
        CheckpointFolder(tmp_path, {"what": "exp"}, kind="measurement", part="chunk")


@pytest.mark.usefixtures("folder")
def test_corrupt_files_are_named_on_the_screen(tmp_path, capsys):
    """Where nobody else is told."""
    change_a_digit(tmp_path / "chunk-00000.json")
    again = CheckpointFolder(tmp_path, {"what": "exp"}, kind="measurement", part="chunk")
    assert again.done() == {1, 2}
    assert "chunk-00000.json is corrupt" in capsys.readouterr().err


def test_other_files_are_no_parts(folder, tmp_path, said):
    for name in ("chunk-00004.part", "chunk-x.json", "chunk-00001.json.bak", "job-00000.json"):
        (tmp_path / name).write_text("{", "utf-8")
    assert folder.done() == {0, 1, 2}
    assert said == []
