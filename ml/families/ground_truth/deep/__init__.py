"""The deep model: a turn encoder, and a transformer over the dialogue. An optional extra: it needs torch.

Nothing here imports torch before the model is asked for (`families.ground_truth.params.model: deep`).
"""

from __future__ import annotations

from importlib.util import find_spec

from ml.errors import UsageError

NEEDED = ("torch",)


def require_torch() -> None:
    """Raise UsageError, with the command to type, if a package of the extra is missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            "families.ground_truth.params.model: deep needs packages that are not installed",
            found=f"no {' and no '.join(missing)}",
            expected="the optional extra `deep`",
            next_step="pip install 'bellwether[deep]' (in a clone: pip install torch), or model: boosted",
        )
