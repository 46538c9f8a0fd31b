"""Files of other programs, opened in a process that has little memory and nothing to lose.

HDF5 and PyTorch's archives are formats that can crash or fill their reader; here a damaged or hostile file
costs a child process. Tensors come back as plain numbers (npz), facts as JSON.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.errors import DeviceUnavailable, PrednetError
from export.importing.found import MOST_TENSOR_BYTES, Array, FileFacts

Reader = Callable[[Path], tuple[FileFacts, list[Array]]]

_REFUSED, _NOT_INSTALLED = 20, 21
# The published networks are read in two seconds; some damage sends the HDF5 library round in circles for ever.
_TIMEOUT_SECONDS = 60.0
_FACTS = "facts"
# The child finds its modules where this process found them, and looks nowhere else.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from export.importing.reading import serve; serve(sys.argv[2:])"
)


def read_apart(kind: str, path: Path) -> tuple[FileFacts, list[Array]]:
    """Return facts and tensors of an `hdf5` or `torch` file, read by a child process.

    Raises PrednetError with the child's sentence, DeviceUnavailable where its library is not installed.
    """
    command = [sys.executable, "-I", "-c", _START, json.dumps(sys.path), kind, str(path.absolute())]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PATH": "::"}
    try:
        child = subprocess.run(  # noqa: S603 - our own program
            command, capture_output=True, check=False, timeout=_TIMEOUT_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired as fault:
        raise PrednetError(f"{path}: reading it takes longer than {_TIMEOUT_SECONDS:g} s; it is damaged.") from fault
    if child.returncode in (_REFUSED, _NOT_INSTALLED):
        refusal = DeviceUnavailable if child.returncode == _NOT_INSTALLED else PrednetError
        raise refusal(child.stderr.decode(errors="replace").strip())
    if child.returncode:
        raise PrednetError(
            f"{path}: the process that read it ended with {child.returncode}; the file is damaged or wants more "
            f"memory than a network of {MOST_TENSOR_BYTES / 1e6:.0f} MB."
        )
    return _received(child.stdout, path)


def _received(blob: bytes, path: Path) -> tuple[FileFacts, list[Array]]:
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
            facts = msgspec.json.decode(archive[_FACTS].tobytes(), type=FileFacts)
            return facts, [archive[str(number)] for number in range(len(facts.names))]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as fault:
        raise PrednetError(f"{path}: the process that read it gave no answer ({fault}); try again.") from fault


def serve(arguments: Sequence[str]) -> None:
    """Read one file and write the answer to stdout: what the child process does."""
    kind, path = arguments[0], Path(arguments[1])
    try:
        reader = _reader(kind)
        _bound_memory(2 * path.stat().st_size + 2 * MOST_TENSOR_BYTES)
        facts, arrays = reader(path)
    except PrednetError as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(_REFUSED)
    except ModuleNotFoundError as fault:
        print(f"{path}: reading it needs {fault.name}: pip install 'prednet-edge[workstation]'.", file=sys.stderr)
        sys.exit(_NOT_INSTALLED)
    held: dict[str, Any] = {str(number): array for number, array in enumerate(arrays)}
    held[_FACTS] = np.frombuffer(msgspec.json.encode(facts), np.uint8)
    np.savez(sys.stdout.buffer, **held)


def _reader(kind: str) -> Reader:
    if kind == "hdf5":
        from export.importing.keras_files import read_keras_file  # noqa: PLC0415 - only a chooser opens a door

        return read_keras_file
    from export.learning.state_dicts import read_torch_file  # noqa: PLC0415

    return read_torch_file


def _bound_memory(more: int) -> None:
    """Let this process grow by `more` bytes and no further: an allocation beyond it fails at once."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
