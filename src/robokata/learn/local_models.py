"""Models that the user has in a folder, opened by transformers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from robokata.core.errors import TrainingRefused
from robokata.learn.bounded_build import uncounted


def opened_model(transformers: ModuleType, folder: str, *, asked: str) -> Any:
    """The model of a folder with all its weights. Nothing is fetched or left random, and no code of the folder is run.

    Raises:
        TrainingRefused: it holds no model, or not all of its weights.
    """
    # Its bar would run through ours.
    transformers.utils.logging.disable_progress_bar()
    try:
        with uncounted():
            model, told = transformers.AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingRefused(f"{asked}: holds no model that transformers opens: {error}") from None
    # A pooler is not read by us, and many checkpoints come without one.
    lacking = sorted(name for name in told["missing_keys"] if "pooler" not in name)
    if lacking:
        more = f" and {len(lacking) - 3} more weights" if len(lacking) > 3 else ""
        raise TrainingRefused(f"{asked}: the folder lacks {', '.join(lacking[:3])}{more}; nothing is left random.")
    return model
