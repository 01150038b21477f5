"""Weights files: any class count for the body, nothing damaged, foreign or executable."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from engine.errors import UserError
from engine.model.backbones import for_inference, last_layer, load_network, split_network
from engine.model.extractor import read_tensors
from engine.model.preprocessing import preprocessing
from engine.model.weights import Weights, find_weights, read_state, wrapping
from engine.runs.files import sha256_of

NAME = "squeezenet1_1"
NOTHING = Weights("none", "none-0", None)


def _state(name: str = NAME, **arguments: object) -> OrderedDict[str, torch.Tensor]:
    torch.manual_seed(7)
    return torchvision.models.get_model(name, weights=None, **arguments).state_dict()


def _save(path: Path, state: dict[str, torch.Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(dict(state), path)
    else:
        torch.save(state, path)
    return path


def _load(path: Path, name: str = NAME, crop: int = 224) -> nn.Module:
    return load_network(name, find_weights(name, str(path), 0), 0, crop)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_tensors_of_a_file_arrive(suffix, tmp_path):
    state = _state()
    loaded = _load(_save(tmp_path / f"body{suffix}", state)).state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


@pytest.mark.parametrize("name", [NAME, "resnet18"])
def test_a_file_of_another_number_of_classes_gives_its_body(name, tmp_path):
    state = _state(name, num_classes=5)
    network = _load(_save(tmp_path / "five.safetensors", state), name)
    assert len(last_layer(network)[1].weight) == 5
    body, _ = split_network(network)
    assert all(torch.equal(tensor, state[key]) for key, tensor in body.state_dict().items())


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_side_heads_are_left_out_and_the_input_is_transformed_as_published(name, tmp_path):
    torch.manual_seed(7)
    theirs = torchvision.models.get_model(
        name, weights=None, init_weights=False, aux_logits=True, transform_input=True
    ).eval()
    ours = _load(_save(tmp_path / "published.pth", theirs.state_dict()), name)
    images = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        expected = theirs(images)
        assert torch.equal(ours(images), expected)
        features = for_inference(split_network(ours)[0], torch.float32, "cpu")(images)
        assert torch.allclose(theirs.fc(features), expected, rtol=1e-3, atol=1e-5)
        theirs.transform_input = False
        assert not torch.equal(theirs(images), expected)


def test_the_old_names_in_published_densenet_files_are_known(tmp_path):
    state = _state("densenet121")
    old = {
        key.replace("norm1.", "norm.1.").replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.").replace("conv2.", "conv.2.")
        if "denselayer" in key else key: tensor
        for key, tensor in state.items()
    }  # fmt: skip
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    published = {key: t for key, t in old.items() if "num_batches_tracked" not in key}
    loaded = _load(_save(tmp_path / "old.pth", published), "densenet121").state_dict()
    weights = {key: tensor for key, tensor in state.items() if "num_batches" not in key}
    assert all(torch.equal(loaded[key], tensor) for key, tensor in weights.items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_mnasnet_which_insists_on_a_version_loads(suffix, tmp_path):
    state = _state("mnasnet0_5")
    loaded = _load(_save(tmp_path / f"mnasnet{suffix}", state), "mnasnet0_5").state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


@pytest.mark.parametrize("name", ["regnet_x_400mf", "mobilenet_v3_small", "vit_b_32"])
def test_files_of_other_families_load(name, tmp_path):
    state = _state(name)
    loaded = _load(_save(tmp_path / "weights.safetensors", state), name).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("made_for", "read_as", "tensor"),
    [
        ("resnet18", NAME, "classifier.1.weight"),
        ("squeezenet1_0", NAME, "features.*weight"),
        ("resnet34", "resnet18", "layer"),
        ("resnet18", "resnet50", "fc.weight|layer"),
    ],
)
def test_another_architecture_is_refused_naming_file_and_tensor(
    suffix, made_for, read_as, tensor, tmp_path
):
    path = _save(tmp_path / f"other{suffix}", _state(made_for))
    with pytest.raises(
        UserError, match=rf"other{suffix} does not fit {read_as}: .*{tensor}"
    ) as said:
        _load(path, read_as)
    assert len(str(said.value)) < 500 and "\n" not in str(said.value)


class _Trap:
    """Unpickled, it would leave a marker file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "run"
    for path, write in [(tmp_path / "zip.pth", torch.save), (tmp_path / "bare.pth", None)]:
        payload = {**_state(), "trap": _Trap(marker)}
        if write:
            write(payload, path)
        else:
            path.write_bytes(pickle.dumps({"trap": _Trap(marker)}))
        with pytest.raises(UserError, match=path.name):
            _load(path)
        assert not marker.exists()
    pickle.loads((tmp_path / "bare.pth").read_bytes())
    assert marker.exists()  # the trap works where code is run


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("keep", [0, 7, 1000, -1])
def test_a_file_cut_short_is_refused(suffix, keep, tmp_path):
    path = _save(tmp_path / f"cut{suffix}", _state())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=f"cut{suffix}"):
        _load(path)


def test_a_file_with_a_flipped_bit_in_its_header_is_refused(tmp_path):
    path = _save(tmp_path / "flipped.safetensors", _state())
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    for at in (0, 7, 8, 20, 8 + length // 2):
        broken = bytearray(whole)
        broken[at] ^= 0x40
        path.write_bytes(broken)
        with pytest.raises(UserError, match="flipped.safetensors"):
            _load(path)


@pytest.mark.parametrize(
    "content",
    [[torch.zeros(2)], {"optimizer": {"a": torch.zeros(2)}}, {"epoch": 3}, torch.ones(2)],
)
def test_what_is_no_plain_state_dict_is_refused(content, tmp_path):
    path = tmp_path / "nested.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match=r"nested.pth must contain only a state dict"):
        read_state(path)


def test_tensors_of_a_wrong_shape_are_refused(tmp_path):
    state = _state()
    state["classifier.1.weight"] = torch.tensor(1.0)
    with pytest.raises(UserError, match=r"scalar.safetensors does not fit .*classifier.1.weight"):
        _load(_save(tmp_path / "scalar.safetensors", state))


def test_a_missing_file_is_refused_by_its_option(tmp_path):
    with pytest.raises(UserError, match=r"weights='.*gone.safetensors' does not exist"):
        find_weights(NAME, str(tmp_path / "gone.safetensors"), 0)


def test_without_network_the_published_weights_are_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    with pytest.raises(UserError) as said:
        find_weights(NAME, "default", 0)
    message = str(said.value)
    assert message.startswith(f"Published weights of {NAME} could not be downloaded from https://")
    assert "\n" not in message
    assert "no route to host" in message
    assert str(tmp_path / "hub" / "checkpoints") in message
    assert message.endswith(
        "give the path of a .safetensors file, or start with random weights: weights none."
    )
    assert said.value.on_command_line.endswith("start with random weights: --weights none.")


def test_the_published_file_in_torch_home_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = Path(torchvision.models.get_model_weights(NAME).DEFAULT.url).name
    state = _state()
    path = _save(tmp_path / "hub" / "checkpoints" / file, state)
    weights = find_weights(NAME, "default", 0)
    assert (weights.source, weights.path) == ("default", path)
    loaded = load_network(NAME, weights, 0, 224).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_published_weights_are_found_by_name_with_their_preprocessing(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def download(url: str, **_: object) -> None:
        asked.append(url)
        _save(tmp_path / "hub" / "checkpoints" / Path(url).name, {"x": torch.zeros(1)})

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    name = "IMAGENET1K_SWAG_E2E_V1"
    assert find_weights("vit_b_16", name, 0).source == name
    assert asked == [torchvision.models.ViT_B_16_Weights[name].url]
    assert preprocessing("vit_b_16", None, name).crop == 384
    assert preprocessing("vit_b_16").crop == 224
    with pytest.raises(UserError, match=r"weights='IMAGENET1K_V9' .* IMAGENET1K_V1, IMAGENET1K_V2"):
        find_weights("resnet50", "IMAGENET1K_V9", 0)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_training_checkpoint_is_read_and_that_is_said(suffix, tmp_path):
    state = _state()
    prefixed = OrderedDict((f"module.{key}", tensor) for key, tensor in state.items())
    whole = prefixed if suffix == ".safetensors" else {"epoch": 3, "state_dict": prefixed}
    path = _save(tmp_path / f"checkpoint{suffix}", whole)
    loaded = _load(path).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)
    said = wrapping(find_weights(NAME, str(path), 0))
    assert said.startswith(str(path)) and said.endswith("the prefix 'module.'.")
    assert ("'state_dict' and" in said) == (suffix == ".pth")
    assert wrapping(find_weights(NAME, str(_save(tmp_path / f"plain{suffix}", state)), 0)) == ""


def test_the_name_of_untrained_weights_fixes_seed_and_torch_version():
    names = {find_weights(NAME, "none", seed).sha256 for seed in (0, 1)}
    assert len(names) == 2 and all(torch.__version__.split("+")[0] in name for name in names)


def test_a_download_leaves_stdout_alone_and_draws_only_for_a_person(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    name = Path(torchvision.models.get_model_weights(NAME).DEFAULT.url).name
    asked = []

    def download(url: str, **options: object) -> None:
        print(f'Downloading: "{url}"')
        asked.append(options)
        _save(tmp_path / "hub" / "checkpoints" / name, _state())

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    assert find_weights(NAME, "default", 0).path == tmp_path / "hub" / "checkpoints" / name
    assert capsys.readouterr() == ("", "")
    assert asked[0]["progress"] is False
    assert asked[0]["check_hash"] is True and asked[0]["weights_only"] is True


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_refused_by_file_and_tensor(value, suffix, tmp_path):
    state = _state()
    state["features.3.squeeze.weight"].view(-1)[5] = value
    path = _save(tmp_path / f"bad{suffix}", state)
    with pytest.raises(UserError) as caught:
        read_state(path)
    assert str(path) in str(caught.value) and "'features.3.squeeze.weight'" in str(caught.value)
    assert "1 of" in str(caught.value)


def test_large_values_whose_sum_overflows_are_fine(tmp_path):
    state = {"a": torch.full((100,), 3e38), "b": torch.full((3,), 2), "c": torch.zeros(0)}
    read = read_state(_save(tmp_path / "large.safetensors", state))
    assert torch.equal(read["a"], state["a"])


def test_a_head_that_is_not_finite_is_refused(tmp_path):
    path = _save(tmp_path / "head.safetensors", {"weight": torch.tensor([[1.0, float("nan")]])})
    with pytest.raises(UserError, match="'weight'"):
        read_tensors(path, sha256_of(path))
