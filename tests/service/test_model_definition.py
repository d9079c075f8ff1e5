"""The architecture, its published weights, and architectures by name."""

from collections.abc import Iterator

import pytest
import torch
from torchvision.models import EfficientNet_B0_Weights

from service.artifact.sample_photos import SamplePhoto
from service.model_definition import (
    LITE0,
    ServingModel,
    architectures,
    create_model,
    load_weights,
    published_lite0_weights,
)
from service.preprocessing import preprocess

LABELS = EfficientNet_B0_Weights.DEFAULT.meta["categories"]


@pytest.fixture(scope="module")
def lite0() -> ServingModel:
    model = create_model(LITE0, 1000)
    load_weights(model, published_lite0_weights())
    return ServingModel(model, (127, 127, 127), (128, 128, 128))


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_size_is_that_of_the_paper() -> None:
    parameters = sum(tensor.numel() for tensor in create_model(LITE0, 1000).parameters())
    assert parameters == 4_652_008  # 4.7 M in the table of github.com/tensorflow/tpu …/lite


def test_recognises_the_photo(lite0: ServingModel, photo: SamplePhoto) -> None:
    pixels = torch.from_numpy(preprocess(photo.read()))[None]
    assert LABELS[int(lite0(pixels).argmax())] in photo.labels


def test_probabilities(lite0: ServingModel) -> None:
    probabilities = lite0(torch.randint(0, 256, (3, 224, 224, 3), dtype=torch.uint8))
    assert probabilities.shape == (3, 1000)
    assert probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3))


def test_normalisation_is_inside() -> None:
    class Echo(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3))

    pixels = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = 10, 20, 30
    found = ServingModel(Echo(), (10, 10, 10), (1, 10, 20))(pixels)
    torch.testing.assert_close(found, torch.softmax(torch.tensor([[0.0, 1.0, 1.0]]), 1))


def test_strided_padding_is_tensorflows(lite0: ServingModel) -> None:
    """One pixel after, none before: symmetric padding of the same weights answers differently."""
    stem = lite0.model.stem
    assert stem.pad.padding == (0, 1, 0, 1)  # type: ignore[union-attr]
    sides = []
    images = torch.zeros(1, 3, 224, 224)
    for module in (stem, *lite0.model.blocks):  # type: ignore[misc]
        images = module(images)
        sides.append(images.shape[-1])
    assert sides == [112, 112, *[56] * 2, *[28] * 2, *[14] * 6, *[7] * 5]


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v3_small", "vit_b_32", LITE0])
def test_architecture_by_name_and_its_own_weights(architecture: str) -> None:
    first, second = create_model(architecture, 7), create_model(architecture, 7)
    load_weights(second, first.state_dict())
    pixels = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    one, other = (ServingModel(model, (127,) * 3, (128,) * 3)(pixels) for model in (first, second))
    assert one.shape == (2, 7)
    torch.testing.assert_close(one, other)


def test_unknown_architecture() -> None:
    assert "resnet50" in architectures()
    with pytest.raises(
        ValueError, match=r"no architecture named 'resnet51'; there are: .*resnet50"
    ):
        create_model("resnet51", 10)


def test_weights_that_do_not_fit() -> None:
    model = create_model("resnet18", 10)
    weights = create_model("resnet18", 11).state_dict()
    del weights["conv1.weight"]
    weights["extra"] = torch.zeros(1)
    with pytest.raises(ValueError, match="do not fit") as fault:
        load_weights(model, weights)
    assert "missing: conv1.weight; found, but not part of it: extra;" in str(fault.value)
    assert "(11, 512), expected (10, 512)" in str(fault.value)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_prefixes_of_wrappers_are_removed(prefix: str) -> None:
    model = create_model("mobilenet_v3_small", 3)
    weights = model.state_dict()
    counters = [name for name in weights if name.endswith("num_batches_tracked")]
    named = {prefix + name: tensor for name, tensor in weights.items() if name not in counters}
    other = create_model("mobilenet_v3_small", 3)
    load_weights(other, named)
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_auxiliary_heads_are_left_out() -> None:
    """They serve training; and inception takes its input as its published weights do."""
    given = create_model("inception_v3", 3)
    assert given.transform_input
    weights = {**given.state_dict(), "AuxLogits.fc.bias": torch.zeros(3)}
    other = create_model("inception_v3", 3, {"transform_input": False, "aux_logits": True})
    load_weights(other, weights)
    assert not other.transform_input


def test_builder_arguments_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match=r"resnet18 cannot be built with \{'depth': 3\}"):
        create_model("resnet18", 3, {"depth": 3})


def test_activation_colour_order_and_objects_with_logits() -> None:
    class Echo(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> object:
            return type("Output", (), {"logits": images.mean(dim=(2, 3))})

    pixels = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = 1, 2, 3
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    assert ServingModel(Echo(), zero, one, "none")(pixels).tolist() == [[1, 2, 3]]
    assert ServingModel(Echo(), zero, one, "none", "BGR")(pixels).tolist() == [[3, 2, 1]]
    found = ServingModel(Echo(), zero, one, "sigmoid")(pixels)
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0, 3.0]]).sigmoid())
