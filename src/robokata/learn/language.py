"""Instructions as vectors: hashed words, or a language model that the user has."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from robokata.core.errors import TrainingRefused
from robokata.core.require import require
from robokata.learn.local_models import opened_model

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
else:
    torch = require("torch", extra="learn")
    nn = torch.nn
    Tensor = torch.Tensor

MOST_WORDS = 16
"""Words of an instruction that are read: the longest of the published tasks has fourteen."""
_WORD = re.compile(r"[^\W_]+", re.UNICODE)


def words_of(text: str) -> list[str]:
    """The words of an instruction or a name, in order, in lower case."""
    return _WORD.findall(text.lower())


class Said(NamedTuple):
    """Instructions as tokens."""

    tokens: Tensor
    """(B, L, width)."""
    is_word: Tensor
    """(B, L) bool; the first token is always there, so that an empty instruction is something too."""


class HashedWords(nn.Module):
    """Words hashed to rows of a table: no vocabulary, no download, and an unseen word is only an untrained row."""

    def __init__(self, width: int, *, rows: int = 4096) -> None:
        # 4,096 rows: of the 150 words of a large task set, each meets another with a probability of 1 in 28.
        super().__init__()
        self.rows = rows
        self.words = nn.Embedding(rows + 1, width)
        nn.init.normal_(self.words.weight, std=0.5)
        self.place = nn.Parameter(torch.zeros(MOST_WORDS + 1, width))
        nn.init.normal_(self.place, std=0.02)
        self._known: dict[str, list[int]] = {}

    def forward(self, texts: Sequence[str]) -> Said:
        rows = [self._rows_of(text) for text in texts]
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[-1] * (longest - len(row))] for row in rows], device=self.place.device)
        is_word = ids >= 0
        return Said(self.words(ids.clamp(min=0)) + self.place[:longest], is_word)

    def _rows_of(self, text: str) -> list[int]:
        if text not in self._known:
            words = words_of(text)[:MOST_WORDS]
            # The last row begins every instruction. blake2b, because Python's own hash differs from run to run.
            hashed = [int.from_bytes(hashlib.blake2b(w.encode(), digest_size=8).digest(), "big") for w in words]
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[text] = [self.rows, *(h % self.rows for h in hashed)]
        return self._known[text]

    def provenance(self) -> Mapping[str, str]:
        """Where its weights come from."""
        return {"language": "hashed words, trained from random"}


class LocalLanguage(nn.Module):
    """A transformers model from a folder, frozen; only the map to our width is trained."""

    def __init__(self, folder: str, width: int) -> None:
        super().__init__()
        transformers = require("transformers", extra="pretrained")
        if not Path(folder).is_dir():
            raise TrainingRefused(
                f"language='hf:{folder}': is no folder with a model. Name one, or use language='hashed'."
            )
        model = opened_model(transformers, folder, asked=f"language='hf:{folder}'")
        try:
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise TrainingRefused(f"language='hf:{folder}': holds no tokenizer: {error}") from None
        self.model = model.requires_grad_(False).eval()
        self.folder = folder
        self.map = nn.Linear(int(model.config.hidden_size), width)
        self._known: dict[str, Tensor] = {}

    def forward(self, texts: Sequence[str]) -> Said:
        hidden = [self._hidden(text) for text in texts]
        longest = max(len(h) for h in hidden)
        device = self.map.weight.device
        padded = torch.stack([nn.functional.pad(h, (0, 0, 0, longest - len(h))) for h in hidden]).to(device)
        is_word = torch.tensor([[i < len(h) for i in range(longest)] for h in hidden], device=device)
        return Said(self.map(padded), is_word)

    def train(self, mode: bool = True) -> LocalLanguage:
        super().train(mode)
        self.model.eval()  # frozen: its dropout stays off
        return self

    @torch.no_grad()
    def _hidden(self, text: str) -> Tensor:
        if text not in self._known:
            words = self.tokenizer(text or " ", return_tensors="pt", truncation=True, max_length=64)
            words = {name: value.to(self.map.weight.device) for name, value in words.items()}
            self._known[text] = self.model(**words).last_hidden_state[0].float()
        return self._known[text]

    def provenance(self) -> Mapping[str, str]:
        """Where its weights come from."""
        return {"language": f"transformers model in {self.folder}, frozen"}
