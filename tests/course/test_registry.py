import pytest

from induction_heads.course import registry
from induction_heads.course.registry import UnknownTarget, select


@pytest.mark.parametrize("target", ["ch04_induction_heads", "ch04", "4", "04", "ch4"])
def test_chapter_goes_by_stem_and_number(target: str):
    (selection,) = select(target)
    assert selection.stem == "ch04_induction_heads"
    assert len(selection.exercises) > 1


def test_exercise_goes_by_its_name():
    (selection,) = select("induction_score")
    assert selection.stem == "ch04_induction_heads"
    assert [exercise.name for exercise in selection.exercises] == ["induction_score"]


def test_no_target_selects_every_chapter():
    assert [selection.stem for selection in select(None)] == list(registry.chapter_stems())


def test_modules_of_known_answers_are_no_chapters():
    chapters = [registry.chapter_exercises(stem) for stem in registry.chapter_stems()]
    assert all(chapters)
    assert len(set(registry.chapter_stems())) == len(chapters)


def test_misspelled_exercise_suggests_the_closest():
    with pytest.raises(UnknownTarget, match=r"'induction_scor'\. Did you mean induction_score"):
        select("induction_scor")


def test_unknown_chapter_lists_the_chapters():
    with pytest.raises(UnknownTarget, match="The chapters are ch01_attention, ch02"):
        select("ch77")


@pytest.mark.parametrize("lookup", [select, registry.find_exercise])
def test_a_name_that_resembles_none_gets_the_chapters(lookup):
    with pytest.raises(UnknownTarget, match=r"The chapters are ch01_attention, .*`induction-heads"):
        lookup("qqqqqq")
