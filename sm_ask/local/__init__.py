"""An endpoint on this machine: the SageMaker runtime API in front of a model, or of any container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sm_ask.local.container import RemoteContainer
from sm_ask.local.model import BUILT_IN, BuiltInModel, find_model

if TYPE_CHECKING:
    from pathlib import Path

    from sm_ask.local.container import Container


def open_container(model: str | None = None, container: str | None = None) -> Container:
    """Open the container at a URL, or else load a model: the one built in, or that of a GGUF file."""
    if container is not None:
        return RemoteContainer(container)
    name = model or BUILT_IN
    path: Path = find_model(name)
    return BuiltInModel(path, name=BUILT_IN if name == BUILT_IN else path.stem)
