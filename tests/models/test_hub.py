"""Models on the hub: fetched by name, and one sentence when they cannot be."""

import json
import os
import re
import shutil
import socket
import time

import pytest
import torch
from click.testing import CliRunner
from hub_server import hub_server
from huggingface_hub import constants
from safetensors.torch import load_file
from small_hugging_face_models import D_VOCAB, save_tokenizer, small_model

from induction_heads.cli.analyze import analyze
from induction_heads.models import hub
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.hub import reachable
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


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small GPT-2 with its folder."""
    folder = tmp_path_factory.mktemp("model")
    module = small_model("gpt2")
    module.save_pretrained(folder)
    save_tokenizer(folder, puts_bos=True)
    for name in ("README.md", "tf_model.h5", "generation_config.json"):
        (folder / name).write_text("{}")
    return module, folder


@pytest.fixture
def server(monkeypatch, tmp_path, model):
    """A hub that has the model as `some/model`; the cache is empty."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub_server() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        place = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.url + place)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        served.add("some/model", model[1])
        yield served


def refusal(name: str) -> str:
    """The one sentence that refuses a model."""
    with pytest.raises(UnknownModel) as caught:
        load_model(name, progress=False)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def logits_agree(loaded, module) -> bool:
    tokens = torch.arange(20)[None] % D_VOCAB
    with torch.inference_mode():
        return torch.allclose(loaded(tokens), module(tokens).logits, atol=1e-4)


def test_a_model_is_fetched_once_and_then_loads_without_the_hub(monkeypatch, server, model):
    assert logits_agree(load_model("some/model", progress=False), model[0])
    files = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert sorted(server.fetched()) == files
    server.requests.clear()
    load_model("some/model", progress=False)
    assert server.fetched() == []
    monkeypatch.setattr(hub, "reachable", lambda endpoint: False)
    server.requests.clear()
    assert logits_agree(load_model("some/model", progress=False), model[0])
    assert server.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    load_model("some/model", progress=False)
    assert "not in the local cache, and the model hub cannot be reached" in refusal("some/other")


def test_weights_come_from_another_host_without_the_access_token(monkeypatch, server):
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    load_model("some/model", progress=False)
    with_token = {path for path, token in server.tokens if token}
    assert any(path.startswith("/api/models/some/model/") for path in with_token)
    assert not any(path.startswith("/content/") for path in with_token)


def test_a_step_after_the_name_is_a_revision(server, model, tmp_path):
    early = shutil.copytree(model[1], tmp_path / "early")
    other = small_model("gpt2", seed=1)
    other.save_pretrained(early)
    server.add("some/model", early, "step3000")
    assert logits_agree(load_model("some/model@step3000", progress=False), other)
    assert logits_agree(load_model("some/model", progress=False), model[0])
    commit = server.repositories["some/model"].commit("step3000")
    assert logits_agree(load_model(f"some/model@{commit}", progress=False), other)
    assert refusal("some/model@step4").endswith("has this model, but not this revision of it.")


def test_a_new_commit_is_fetched_and_files_that_did_not_change_are_not(server, model, tmp_path):
    load_model("some/model", progress=False)
    changed = shutil.copytree(model[1], tmp_path / "changed")
    other = small_model("gpt2", seed=1)
    other.save_pretrained(changed)
    server.add("some/model", changed)
    server.requests.clear()
    assert logits_agree(load_model("some/model", progress=False), other)
    assert server.fetched() == ["model.safetensors"]


def test_a_model_that_moved_loads_by_its_old_name(server, model):
    server.moved = {"old": "some/model"}
    assert logits_agree(load_model("old", progress=False), model[0])


def test_a_download_that_stops_goes_on_where_it_ended(monkeypatch, server, model):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    server.cut = {"model.safetensors": 5000}
    assert logits_agree(load_model("some/model", progress=False), model[0])
    ranges = [r for method, path, r in server.requests if "/content/" in path and method == "GET"]
    assert ranges[0] is None
    assert ranges[1] == "bytes=5000-"


def test_weights_that_are_pickled_or_in_shards_are_fetched_too(server, model, tmp_path):
    sharded = tmp_path / "sharded"
    model[0].save_pretrained(sharded, max_shard_size="20KB")
    server.add("some/sharded", sharded)
    assert logits_agree(load_model("some/sharded", progress=False), model[0])
    assert sum(name.startswith("model-") for name in server.fetched()) > 1
    pickled = shutil.copytree(model[1], tmp_path / "pickled")
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    server.add("some/both", pickled)
    server.requests.clear()
    load_model("some/both", progress=False)
    assert "pytorch_model.bin" not in server.fetched()
    (pickled / "model.safetensors").unlink()
    server.add("some/pickled", pickled)
    assert logits_agree(load_model("some/pickled", progress=False), model[0])


def test_what_the_hub_refuses_is_one_sentence(monkeypatch, server):
    start = "Cannot load 'some/model': "
    assert refusal("some/other").endswith("the model hub has no public model of that name.")
    server.repositories["some/model"].gated = True
    for token in (None, "hf_abc"):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        assert refusal("some/model").startswith(
            f"{start}on the model hub it is only for accounts that accepted its license."
        )
    server.refused_tokens = True
    assert "does not know your access token. Log in again" in refusal("some/model")


@pytest.mark.parametrize(
    ("status", "says"),
    [(503, r"error \(503\)"), (500, r"error \(500\)"), (429, "too many requests"), (403, "allow")],
)
def test_a_hub_that_is_down_is_one_sentence_unless_the_model_is_here(
    server, model, status: int, says: str
):
    server.down = status
    assert re.search(says, refusal("some/model"))
    server.down = None
    load_model("some/model", progress=False)
    server.down = status
    assert logits_agree(load_model("some/model", progress=False), model[0])


def test_half_a_model_in_the_cache_is_not_the_model(monkeypatch, server):
    server.short = {"model.safetensors"}
    assert refusal("some/model").endswith("sent a file that is too short. Try again.")
    server.short = set()
    monkeypatch.setattr(hub, "reachable", lambda endpoint: False)
    assert "only a part of it is in the local cache, and the model hub can" in refusal("some/model")


def test_a_file_that_arrives_damaged_is_refused_and_fetched_again(server, model):
    server.damaged = {"model.safetensors", "tokenizer.json"}
    message = refusal("some/model")
    assert "model.safetensors and tokenizer.json arrived damaged" in message
    server.damaged = set()
    assert logits_agree(load_model("some/model", progress=False), model[0])


def test_a_file_damaged_in_the_cache_is_named_and_can_be_fetched_again(server, model, tmp_path):
    load_model("some/model", progress=False)
    (weights,) = (tmp_path / "cache").rglob("model.safetensors")
    blob = weights.resolve()
    blob.write_bytes(blob.read_bytes()[:-100])
    os.utime(blob, (0, 0))
    message = refusal("some/model")
    assert message.startswith("model.safetensors in the local cache of the model hub is damaged.")
    assert str(blob) in message
    blob.unlink()
    assert logits_agree(load_model("some/model", progress=False), model[0])


def test_what_is_on_the_hub_but_is_not_a_model_is_said_so(server, tmp_path):
    for name, says in (("adapter_config.json", "holds an adapter"), ("notes.md", "no config.json")):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_text("{}")
        server.add(f"some/{folder.name}", folder)
        assert says in refusal(f"some/{folder.name}")


def test_a_cache_that_cannot_be_written_is_one_sentence(monkeypatch, server, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    assert "cannot be written to the local cache (" in refusal("some/model")


def test_analyze_takes_a_model_of_the_hub(server):
    arguments = ["some/model", "--json", "--seeds", "2", "--rows", "2"]
    result = CliRunner().invoke(analyze, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["model"] == "some/model"
