import pytest

from induction_heads.course.registry import select
from induction_heads.grading.class_file import BadClassFile
from induction_heads.grading.points import ExercisePoints, digest, old_key, read_points


@pytest.fixture
def file(tmp_path):
    def write(text: str):
        path = tmp_path / "grading.toml"
        path.write_text(text)
        return path

    return write


def test_brackets_without_end_are_an_error(file):
    with pytest.raises(BadClassFile, match="nested too deeply"):
        read_points(file("x = " + "[" * 100_000), select("ch01"))


def test_without_a_file_an_exercise_has_as_many_points_as_stars():
    points = read_points(None, select("ch01"))
    assert points["causal_mask"] == ExercisePoints(1.0, True)
    assert points["attention_head"] == ExercisePoints(2.0, True)


def test_a_file_changes_chapters_and_exercises(file):
    path = file(
        "partial_credit = false\n[chapters.ch01]\npoints_per_star = 2\n"
        "[exercises.attention_head]\npoints = 5\npartial_credit = true\n"
    )
    points = read_points(path, select("ch01"))
    assert points["causal_mask"] == ExercisePoints(2.0, False)
    assert points["attention_head"] == ExercisePoints(5.0, True)
    assert old_key(path) is None


def test_the_old_key_still_multiplies_and_is_named_in_a_sentence(file):
    path = file("[chapters.ch01]\nweight = 2\n[exercises.attention_head]\nweight = 5\n")
    points = read_points(path, select("ch01"))
    assert points["causal_mask"].maximum == 2
    assert points["attention_head"].maximum == 10
    sentence = old_key(path)
    assert sentence is not None
    assert "grading.toml uses the old key `weight`, which is still read" in sentence


def test_a_chapter_that_is_not_graded_now_may_be_named(file):
    path = file("[chapters.ch02]\npoints_per_star = 0\n[exercises.first_token_score]\npoints = 3\n")
    assert read_points(path, select("ch01")) == read_points(None, select("ch01"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[exercises.causal_masc]\nweight = 1", "Did you mean causal_mask?"),
        ("[chapters.ch99]\nweight = 1", "'ch99', which is not known"),
        ("[exercises.causal_mask]\npionts = 1", "Did you mean points?"),
        ("[exercises.causal_mask]\npoints = 1\nweight = 2", "both points and weight"),
        ("partial = true", "Did you mean partial_credit?"),
        ("partial_credit = 1", "true or false"),
        ("[exercises.causal_mask]\npoints = -1", "a number from 0"),
        ("[exercises.causal_mask]\npoints = nan", "a number from 0"),
        ("[exercises.causal_mask]\nweight = true", "a number from 0"),
        ("[chapters.ch01]\nweight = 'two'", "a number from 0"),
        ("[exercises]\ncausal_mask = 3", r"write \[exercises.NAME\]"),
        ("[chapters.ch01]\npoints_per_star = 0", "0 points"),
        ("points =", "not valid TOML"),
    ],
)
def test_an_invalid_file_is_reported_with_its_name(file, text, message):
    with pytest.raises(BadClassFile, match=message) as caught:
        read_points(file(text), select("ch01"))
    assert "grading.toml" in str(caught.value)


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(BadClassFile, match="cannot be read: No such file"):
        read_points(tmp_path / "none.toml", select("ch01"))


def test_a_pass_earns_all_points_and_right_cases_a_share():
    assert ExercisePoints(3.0, True).earned(True, 0.0) == 3.0
    assert ExercisePoints(3.0, True).earned(False, 1 / 3) == 1.0
    assert ExercisePoints(3.0, False).earned(False, 2 / 3) == 0.0
    assert ExercisePoints(3.0, True).earned(False, 0.0) == 0.0
    assert ExercisePoints(1.0, True).earned(False, 1 / 3) == 0.3333


def test_the_digest_differs_with_the_points():
    assert digest({"a": ExercisePoints(1.0, True)}) != digest({"a": ExercisePoints(1.0, False)})
    both = {"a": ExercisePoints(1.0, True), "b": ExercisePoints(2.0, True)}
    assert digest(both) == digest(dict(reversed(both.items())))
