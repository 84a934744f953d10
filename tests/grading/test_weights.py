import pytest

from induction_heads.checks.registry import select
from induction_heads.grading.weights import BadWeights, Worth, digest, read_weights


@pytest.fixture
def file(tmp_path):
    def write(text: str):
        path = tmp_path / "grading.toml"
        path.write_text(text)
        return path

    return write


def test_without_a_file_an_exercise_is_worth_its_stars():
    worths = read_weights(None, select("ch01"))
    assert worths["causal_mask"] == Worth(1.0, True)
    assert worths["attention_head"] == Worth(2.0, True)


def test_a_file_changes_chapters_and_exercises(file):
    path = file(
        "partial_credit = false\n[chapters.ch01]\nweight = 2\n"
        "[exercises.attention_head]\nweight = 5\npartial_credit = true\n"
    )
    worths = read_weights(path, select("ch01"))
    assert worths["causal_mask"] == Worth(2.0, False)
    assert worths["attention_head"] == Worth(10.0, True)


def test_a_chapter_that_is_not_graded_now_may_be_named(file):
    path = file("[chapters.ch02]\nweight = 0\n[exercises.first_token_score]\nweight = 3\n")
    assert read_weights(path, select("ch01")) == read_weights(None, select("ch01"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[exercises.causal_masc]\nweight = 1", "Did you mean causal_mask?"),
        ("[chapters.ch99]\nweight = 1", "'ch99', which is not known"),
        ("[exercises.causal_mask]\nwait = 1", "Did you mean weight?"),
        ("partial = true", "Did you mean partial_credit?"),
        ("partial_credit = 1", "true or false"),
        ("[exercises.causal_mask]\nweight = -1", "a number from 0"),
        ("[exercises.causal_mask]\nweight = nan", "a number from 0"),
        ("[exercises.causal_mask]\nweight = true", "a number from 0"),
        ("[chapters.ch01]\nweight = 'two'", "a number from 0"),
        ("[exercises]\ncausal_mask = 3", r"write \[exercises.NAME\]"),
        ("[chapters.ch01]\nweight = 0", "0 points"),
        ("weight =", "not valid TOML"),
    ],
)
def test_what_is_not_understood_is_said_with_the_name_of_the_file(file, text, said):
    with pytest.raises(BadWeights, match=said) as caught:
        read_weights(file(text), select("ch01"))
    assert "grading.toml" in str(caught.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(BadWeights, match="cannot be read: No such file"):
        read_weights(tmp_path / "none.toml", select("ch01"))


def test_points_are_whole_for_a_pass_and_in_parts_for_right_cases():
    assert Worth(3.0, True).points_for(True, 3, 3) == 3.0
    assert Worth(3.0, True).points_for(False, 1, 3) == 1.0
    assert Worth(3.0, False).points_for(False, 2, 3) == 0.0
    assert Worth(3.0, True).points_for(False, 0, 0) == 0.0
    assert Worth(1.0, True).points_for(False, 1, 3) == 0.3333


def test_the_digest_tells_weights_apart():
    assert digest({"a": Worth(1.0, True)}) != digest({"a": Worth(1.0, False)})
    both = {"a": Worth(1.0, True), "b": Worth(2.0, True)}
    assert digest(both) == digest(dict(reversed(both.items())))
