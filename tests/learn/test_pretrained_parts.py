"""Eyes and words from models that the user has: DINOv2's, SigLIP's and BERT's classes, small and with random weights.

The weights are drawn here, because none can be fetched; files, classes and tokenizer are the library's own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from learn.test_nets import built
from robokata.core.errors import TrainingRefused
from robokata.training.fit import trained_weights

transformers = pytest.importorskip("transformers")

_SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def eyes(kind: str, folder: Path) -> Path:
    torch.manual_seed(1)
    if kind == "dinov2":
        config = transformers.Dinov2Config(**_SMALL, image_size=28, patch_size=14, mlp_ratio=2)
        transformers.Dinov2Model(config).save_pretrained(folder)
    else:
        both = {
            "vision_config": {**_SMALL, "image_size": 32, "patch_size": 16},
            "text_config": {**_SMALL, "vocab_size": 40},
        }
        transformers.SiglipModel(transformers.SiglipConfig(**both)).save_pretrained(folder)
    return folder


def words(folder: Path) -> Path:
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "reach", "the", "red", "cube"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(2)
    transformers.BertModel(transformers.BertConfig(**_SMALL, vocab_size=len(vocabulary))).save_pretrained(folder)
    return folder


def learns(**options: Any) -> Any:
    """A network with these parts, after ten steps; what is frozen must not have moved, the rest must."""
    net, drawn, _ = built("small_vla", px=32, **options)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = net.loss(drawn.seen, drawn.wanted)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen
    assert all(torch.equal(before[name], net.state_dict()[name]) for name in frozen)
    assert not frozen & set(trained_weights(net)), "a checkpoint does not carry what the user has already"
    return net


@pytest.mark.parametrize("kind", ["dinov2", "siglip"])
def test_a_model_of_transformers_sees_and_stays_frozen(kind: str, tmp_path: Path) -> None:
    net = learns(vision=f"hf:{eyes(kind, tmp_path / kind)}")
    assert net.provenance()["vision"].startswith(kind[:6])
    assert net.provenance()["vision"].endswith("frozen")


def test_a_language_model_reads_and_another_instruction_gives_another_answer(tmp_path: Path) -> None:
    net = learns(language=f"hf:{words(tmp_path / 'bert')}")
    one, other = net.language(["reach the red cube"]), net.language(["the cube"])
    assert one.tokens.shape[1] == 6
    assert other.tokens.shape[1] == 4
    assert not torch.allclose(one.tokens[:, 1], other.tokens[:, 1])


def test_what_the_folder_lacks_is_refused_and_never_left_random(tmp_path: Path) -> None:
    folder = eyes("dinov2", tmp_path / "dinov2")
    kept = load_file(folder / "model.safetensors")
    first = next(name for name in kept if "layer.0" in name)
    save_file({n: v for n, v in kept.items() if n != first}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingRefused, match=r"lacks .*layer\.0.*nothing is left random"):
        built("small_vla", vision=f"hf:{folder}")


def test_a_damaged_tokenizer_and_an_unknown_model_say_so(tmp_path: Path) -> None:
    folder = words(tmp_path / "bert")
    (folder / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(TrainingRefused, match=r"language='hf:.*bert': holds no tokenizer"):
        built("small_vla", language=f"hf:{folder}")
    (folder / "config.json").write_text(json.dumps({"model_type": "nonesuch"}), encoding="utf-8")
    with pytest.raises(TrainingRefused, match="holds no model that transformers opens"):
        built("small_vla", language=f"hf:{folder}")
