"""Models on the hub: fetched by name, and one sentence when they cannot be."""

import socket
import time

import pytest
from huggingface_hub import constants

from induction_heads.models import hub
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.hub import hub_folder, reachable
from induction_heads.models.loading import load_model


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """A hub that nothing listens for, and an empty cache."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "reachable", lambda endpoint: False)


def test_an_unreachable_hub_is_one_sentence_within_seconds(no_network):
    start = time.monotonic()
    with pytest.raises(UnknownModel) as caught:
        load_model("gpt2")
    assert time.monotonic() - start < 20  # The hub client alone retries for half a minute.
    said = str(caught.value)
    assert said.startswith("Cannot load 'gpt2': it is not in the local cache, and the model hub")
    assert "cannot be reached. Did you mean gpt2-2l?" in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ["a/b/c", "two words", "x" * 200])
def test_what_cannot_be_a_name_is_said_so(no_network, name: str):
    with pytest.raises(UnknownModel, match="neither a folder nor a name that the model hub could"):
        load_model(name)


@pytest.mark.parametrize("name", ["./gone", "/gone/model", "~/gone", "../gone"])
def test_a_path_without_a_folder_is_not_looked_for_on_the_hub(no_network, name: str):
    with pytest.raises(UnknownModel, match="There is no folder"):
        load_model(name)


def test_a_port_where_nothing_listens_is_not_reachable(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert not reachable(f"http://127.0.0.1:{closed.getsockname()[1]}")


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        assert not reachable(f"http://127.0.0.1:{silent.getsockname()[1]}", seconds=0.3)
        assert time.monotonic() - start < 5


def fake_hub(monkeypatch, tmp_path, *, files: list[str], error: type[Exception] | None = None):
    """`snapshot_download` that makes the wanted files of `files`, and keeps what was asked."""
    import fnmatch

    import huggingface_hub

    asked = []

    def download(name, *, revision, allow_patterns, ignore_patterns, local_files_only):
        asked.append((name, revision, local_files_only))
        if error:
            raise error
        for file in files:
            if any(fnmatch.fnmatch(file, pattern) for pattern in allow_patterns) and not any(
                fnmatch.fnmatch(file, pattern) for pattern in ignore_patterns
            ):
                (tmp_path / file).write_text("")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(hub, "reachable", lambda endpoint: True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return asked


FILES = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "merges.txt",
    "README.md",
    "model.safetensors",
    "pytorch_model.bin",
    "tf_model.h5",
    "onnx/config.json",
]


def test_only_the_config_the_tokenizer_and_one_form_of_the_weights_are_fetched(
    monkeypatch, tmp_path
):
    asked = fake_hub(monkeypatch, tmp_path, files=FILES)
    folder = hub_folder("some/model", revision="step3000")
    assert asked == [("some/model", "step3000", False)]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [
            "config.json",
            "merges.txt",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        ]
    )


def test_older_weights_are_fetched_where_there_are_no_others(monkeypatch, tmp_path):
    files = [name for name in FILES if name != "model.safetensors"]
    asked = fake_hub(monkeypatch, tmp_path, files=files)
    assert (hub_folder("some/model") / "pytorch_model.bin").is_file()
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("GatedRepoError", "only for accounts that accepted its license"),
        ("RepositoryNotFoundError", "no public model of that name"),
        ("RevisionNotFoundError", "not this revision"),
        ("SomethingElse", r"did not give it \(SomethingElse\)"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_sentence(monkeypatch, tmp_path, kind: str, says: str):
    fake_hub(monkeypatch, tmp_path, files=[], error=type(kind, (Exception,), {}))
    with pytest.raises(UnknownModel, match=f"^Cannot load 'some/model': .*{says}") as caught:
        load_model("some/model@step1")
    assert str(caught.value).count(". ") == 1


def test_the_revision_comes_after_the_name(monkeypatch, tmp_path):
    asked = fake_hub(monkeypatch, tmp_path, files=["config.json"])
    with pytest.raises(UnknownModel):
        load_model("some/model@step3000")
    assert asked[0][:2] == ("some/model", "step3000")
