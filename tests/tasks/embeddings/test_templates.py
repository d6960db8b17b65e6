"""Sentences about classes: lists that ship here, files of one's own, and what is refused."""

from pathlib import Path

import pytest

from data_specs.errors import SpecError
from tasks.embeddings.templates import load_templates, prompts, templates_digest


def test_lists_that_ship_here_have_a_place_for_the_class() -> None:
    assert len(load_templates("clip")) == 7
    assert prompts("hot_dog", load_templates("tiny_world"))[0] == "a hot dog."
    assert templates_digest(load_templates("clip")) != templates_digest(load_templates("tiny_world"))


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("- one {} here\n")
    assert prompts("cat", load_templates(str(tmp_path / "mine.yaml"))) == ["one cat here"]


@pytest.mark.parametrize("text", ["", "a {}", "[]", "- no place", "- two {} {}", "- 3", "- [", "a: b"])
def test_what_is_no_list_of_sentences_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SpecError, match="embeddings.templates"):
        load_templates(str(tmp_path / "bad.yaml"))


def test_a_name_that_is_not_there_is_told_what_is() -> None:
    with pytest.raises(SpecError, match="clip, tiny_world"):
        load_templates("tiny_wrld")
