"""Files that are no PredNet, damaged or hostile: refused with what was found, nothing executed, memory bounded."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.errors import PrednetError
from tests.needs import need

need("h5py")
need("torch")

import h5py  # noqa: E402 - after the check that it is there
import torch  # noqa: E402

from export.importing import network, reading  # noqa: E402
from export.importing.found import Given  # noqa: E402
from export.importing.network import read_network  # noqa: E402
from tests.foreign import (  # noqa: E402
    drawn,
    faithful_state_dict,
    keras_json,
    keras_weights,
    leido_tensors,
    small,
    torch_tensors,
    write_hdf5,
)

SIZE = Given(size=(24, 16))
SMALL = small()
WEIGHTS = drawn(SMALL)
CONFIG = keras_json(SMALL, "tensorflow")
ROOT = str(Path(__file__).parents[1])


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in this process: a child for each of many files would take most of the test's time."""
    monkeypatch.setattr(network, "read_apart", lambda kind, path: reading._reader(kind)(path))


def hdf5(change: Callable[[h5py.File], None], config: Any = CONFIG) -> Callable[[Path], list[Path]]:
    """Return a maker of a Keras file that is right but for one change."""

    def make(folder: Path) -> list[Path]:
        path = write_hdf5(folder / "w.hdf5", keras_weights(WEIGHTS, theano=False), config=config)
        with h5py.File(path, "r+") as file:
            change(file)
        return [path]

    return make


def model(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], list[Path]]:
    """Return a maker of a Keras file whose JSON is right but for one change of PredNet's layer."""
    config = json.loads(json.dumps(CONFIG))
    change(config["config"]["layers"][1])
    return hdf5(lambda file: None, config)


def state_dict(
    change: Callable[[dict[str, torch.Tensor]], object], leido: bool = False
) -> Callable[[Path], list[Path]]:
    """Return a maker of a state dict that is right but for one change."""

    def make(folder: Path) -> list[Path]:
        held = torch_tensors(leido_tensors((1, 3), (2, 3))) if leido else faithful_state_dict(WEIGHTS)
        change(held)
        torch.save(held, folder / "net.pt")
        return [folder / "net.pt"]

    return make


def blob(content: bytes, name: str = "net.pt") -> Callable[[Path], list[Path]]:
    """Return a maker of a file of these bytes."""

    def make(folder: Path) -> list[Path]:
        (folder / name).write_bytes(content)
        return [folder / name]

    return make


class Hostile:
    """An object whose pickle runs a program where it is opened as Python opens pickles."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


def set_config(**values: object) -> Callable[[dict[str, Any]], object]:
    """Return a change of PredNet's configuration."""
    return lambda layer: layer["config"].update(values)


KERNEL = "model_weights/pred_net_1/pred_net_1/layer_a_0/kernel:0"


def huge(file: h5py.File) -> None:
    """A tensor that says that it is 16 TB, in a file of some kB."""
    del file[KERNEL]
    file.create_dataset(KERNEL, (1 << 21, 1 << 21), np.float32, chunks=(64, 64), compression="gzip")


def outside(file: h5py.File) -> None:
    """A tensor whose numbers are those of another file."""
    del file[KERNEL]
    file.create_dataset(KERNEL, (5, 5, 2, 4), np.float32, external=[("/etc/hostname", 0, 800)])


def unlisted(file: h5py.File) -> None:
    """A tensor that no layer lists."""
    file["model_weights/pred_net_1/more"] = np.ones(3, np.float32)


def swapped(file: h5py.File) -> None:
    """The gates c and f in each other's places, which no shape tells."""
    group = file["model_weights/pred_net_1"]
    names = [name if isinstance(name, str) else name.decode() for name in group.attrs["weight_names"]]
    names = [name.replace("_c_", "_x_").replace("_f_", "_c_").replace("_x_", "_f_") for name in names]
    group.attrs["weight_names"] = [name.encode() for name in names]


def without(name: str) -> Callable[[dict[str, torch.Tensor]], object]:
    """Return a change that takes a tensor away."""
    return lambda held: held.pop(name)


def renamed(old: str, new: str) -> Callable[[dict[str, torch.Tensor]], object]:
    """Return a change of one key."""
    return lambda held: held.update({new: held.pop(old)})


REFUSED = {
    # another network that calls itself PredNet, or a PredNet inside another network
    "another activation": (model(set_config(LSTM_inner_activation="sigmoid")), "Invalid enum value 'sigmoid'"),
    "an unknown field": (model(set_config(peepholes=True)), "unknown field `peepholes`"),
    "time runs backwards": (model(set_config(go_backwards=True)), "go_backwards"),
    "a hyperparameter is missing": (model(lambda layer: layer["config"].pop("R_filt_sizes")), "missing required field `R_filt_sizes`"),
    "even kernels": (model(set_config(R_filt_sizes=[3, 4, 1])), "must be odd"),
    "other channels than the weights": (model(set_config(stack_sizes=[1, 4, 5])), "(i.2.weight) has shape [4, 10, 1, 1]; the network needs [4, 14, 1, 1]"),
    "another class": (model(lambda layer: layer.update(class_name="ConvLSTM2D")), "holds 0 layers of the class PredNet, 1 is needed; found: ConvLSTM2D, Dense"),
    "weights in another order": (hdf5(swapped), "stands where the original has layer_c_0/kernel"),
    "no conv layers": (hdf5(lambda file: file["model_weights/pred_net_1"].attrs.__setitem__("weight_names", [b"a:0"])), "listed, but not there"),
    "an unlisted tensor": (hdf5(unlisted), "tensor 'pred_net_1/more' is in no layer's list"),
    "Keras 3": (hdf5(lambda file: file["model_weights"].attrs.__delitem__("layer_names")), "has no list of layers (`layer_names`)"),
    "whole numbers": (hdf5(lambda file: (file.__delitem__(KERNEL), file.__setitem__(KERNEL, np.ones((5, 5, 2, 4), int)))), "is int64; weights are floating"),
    "not finite": (hdf5(lambda file: file[KERNEL].__setitem__((0, 0, 0, 0), np.nan)), "holds values that are not finite"),
    # hostile sizes and links
    "a hostile size": (hdf5(huge), "17592186 MB; a network of more than 1074 MB is not read"),
    "numbers of another file": (hdf5(outside), "lies outside the file"),
    "a link to another file": (hdf5(lambda file: (file.__delitem__(KERNEL), file.__setitem__(KERNEL, h5py.ExternalLink("/etc/x", "/y")))), "is a link to elsewhere"),
    "a soft link": (hdf5(lambda file: file["model_weights/pred_net_1"].__setitem__("l", h5py.SoftLink("/"))), "'l' is a link to elsewhere"),
    "a group in itself": (hdf5(lambda file: file["model_weights/pred_net_1"].__setitem__("l", file["model_weights"])), "deeper or larger than any model's"),
    # PyTorch
    "a missing tensor": (state_dict(without("o.1.bias")), "missing: o.1.bias; too many: none"),
    "no gate at all": (state_dict(without("i.0.weight")), "has no kernel i.0.weight"),
    "a tensor too many": (state_dict(renamed("o.1.bias", "norm.1.bias")), "tensor 'norm.1.bias' has no place in a PredNet"),
    "an odd place": (state_dict(renamed("A.2.weight", "A.1.weight")), "'A.1.weight' stands at an odd place"),
    "two names for one": (state_dict(lambda held: held.update({"i.00.bias": held["i.0.bias"]})), "would be i.0.bias"),
    "a pickle of something": (blob(pickle.dumps({"a": 1})), "net.pt: "),
    "two networks": (state_dict(lambda held: held.update(ema=dict(held))), "holds 2 PredNets, 1 is needed"),
    "a kernel of two dimensions": (state_dict(lambda held: held.update({"i.0.weight": torch.ones(2, 2)})), "has no kernel i.0.weight"),
    "a kernel of one dimension": (state_dict(lambda held: held.update({"A.0.weight": torch.ones(2)})), "has no kernel a.0.weight [out, in, height, width]"),
    "a prediction of one dimension": (state_dict(lambda held: held.update({"Ahat.2.weight": torch.ones(2)})), "has no kernel ahat.1.weight"),
    "a number left out": (state_dict(renamed("Ahat.2.weight", "Ahat.8.weight")), "has no kernel ahat.1.weight"),
    "leido without a prediction": (state_dict(without("conv1.0.weight"), leido=True), "a_kernels has 1 sizes; 1 layers need 0."),
    "a peephole too many": (state_dict(lambda held: held["cell0.wc_blank"].add_(1), leido=True), "cell0.wc_blank is not zero"),
    "leido without a bias": (state_dict(without("cell1.bias_ch"), leido=True), "missing: peephole.1.bias"),
    "leido with large kernels": (state_dict(lambda held: held.update({"cell0.weight_hh": torch.ones(8, 2, 5, 5)}), leido=True), "the variant's kernels are 3 × 3"),
    "leido with more": (state_dict(lambda held: held.update({"attention.weight": torch.ones(3)}), leido=True), "has no place in the leido variant"),
    "a video": (blob(b"\x00\x00\x00\x18ftypmp42" * 9), "which no file of a network does"),
    "an empty file": (blob(b""), "begins with b''"),
    "an old archive of something": (blob(b"PK\x03\x04" + bytes(60)), "damaged"),
    "safetensors cut short": (blob((1 << 40).to_bytes(8, "little") + b"{}", "a.safetensors"), "this safetensors file is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_in_a_sentence(name: str, tmp_path: Path, in_process: None) -> None:
    """What was found and what was expected, for each way in which a file can be another."""
    make, sentence = REFUSED[name]
    with pytest.raises(PrednetError) as refused:
        read_network(make(tmp_path), SIZE)
    assert sentence in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_network_around_prednet_is_refused(tmp_path: Path, in_process: None) -> None:
    """A layer that changes the frames before PredNet sees them is part of the network, and cannot be left out."""
    config = json.loads(json.dumps(CONFIG))
    config["config"]["layers"].insert(1, {"class_name": "Conv2D", "name": "c", "config": {}})
    (tmp_path / "m.json").write_text(json.dumps(config))
    path = write_hdf5(tmp_path / "w.hdf5", keras_weights(WEIGHTS, theano=False))
    with pytest.raises(PrednetError, match="has a layer of the class Conv2D beside PredNet"):
        read_network([tmp_path / "m.json", path], Given())
    (tmp_path / "m.json").write_text("[" * 100_000)
    with pytest.raises(PrednetError, match="begins with"):
        read_network([tmp_path / "m.json", path], Given())
    (tmp_path / "m.json").write_text('{"class_name":"Model","config":' * 5_000)
    with pytest.raises(PrednetError, match="not the JSON of an original PredNet"):
        read_network([tmp_path / "m.json", path], Given())


def test_wrong_calls_are_told(tmp_path: Path, in_process: None) -> None:
    """Two files of weights, a JSON that belongs to others, no size, other channels, another way of kernels."""
    write_hdf5(tmp_path / "w.hdf5", keras_weights(WEIGHTS, theano=False), config=CONFIG)
    write_hdf5(tmp_path / "alone.hdf5", keras_weights(WEIGHTS, theano=False))
    (tmp_path / "m.json").write_text(json.dumps(CONFIG))
    (tmp_path / "other.json").write_text(json.dumps(keras_json(small(pixel_max=0.5))))
    torch.save(faithful_state_dict(WEIGHTS), tmp_path / "net.pt")
    calls: list[tuple[list[str], Given, str]] = [
        (["w.hdf5", "alone.hdf5"], Given(), "one file of weights is needed"),
        (["m.json"], Given(), "one file of weights is needed"),
        (["m.json", "net.pt"], SIZE, "for HDF5 at most one JSON"),
        (["other.json", "w.hdf5"], Given(), "describes another network than"),
        (["alone.hdf5"], Given(), "give --size WIDTHxHEIGHT"),
        (["net.pt"], Given(), "give --size WIDTHxHEIGHT"),
        (["w.hdf5"], Given(stack=(1, 4, 4)), "--channels says 1,4,4; the file holds 1,4,3"),
        (["w.hdf5"], Given(r_stack=(1, 4, 4)), "--r-channels says 1,4,4; the file holds 2,3,4"),
        (["w.hdf5"], Given(pixel_max=0.5), "--pixel-max says 0.5; the file says 1"),
        (["w.hdf5"], Given(reading="transposed"), "--kernels transposed is no way"),
        (["none.hdf5"], Given(), "there is no such file"),
        (["w.hdf5"], Given(size=(25, 16)), "a multiple of 4"),
    ]
    for files, told, sentence in calls:
        with pytest.raises(PrednetError) as refused:
            read_network([tmp_path / name for name in files], told)
        assert sentence in str(refused.value)


@pytest.mark.parametrize("is_zip", [True, False])
def test_code_in_a_pickle_is_not_executed(
    is_zip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: None
) -> None:
    """A pickle that would run a program is refused with that program's name, and nothing ran."""
    monkeypatch.chdir(tmp_path)
    torch.save({"i.0.weight": Hostile()}, "net.pt", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(
        PrednetError, match=r"wants to run (posix\.system|os\.system), and nothing of a file is executed"
    ):
        read_network([Path("net.pt")], SIZE)
    torch.save(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3)), "net.pt", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(PrednetError, match=r"wants to run torch\.nn\.modules.*Expected a state dict"):
        read_network([Path("net.pt")], SIZE)
    assert not Path("executed").exists()


def test_a_torchscript_program_is_refused(tmp_path: Path, in_process: None) -> None:
    """TorchScript is a program, whatever its name."""
    torch.jit.script(torch.nn.Conv2d(1, 1, 3)).save(str(tmp_path / "net.pt"))
    with pytest.raises(PrednetError, match="is a TorchScript program; save the network's state_dict"):
        read_network([tmp_path / "net.pt"], SIZE)


def test_a_tensor_of_one_number_and_terabytes_is_refused(tmp_path: Path, in_process: None) -> None:
    """Strides of zero make a small file say that it is large."""
    held = faithful_state_dict(WEIGHTS) | {"i.0.bias": torch.zeros(1).expand(1 << 40)}
    torch.save(held, tmp_path / "net.pt")
    with pytest.raises(PrednetError, match="says that it holds more than 1074 MB"):
        read_network([tmp_path / "net.pt"], SIZE)


def test_the_reading_process_has_a_bound_on_its_memory(tmp_path: Path) -> None:
    """An allocation beyond the bound fails; hostile sizes cost less than 300 MB of real memory."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from export.importing.reading import _bound_memory\n_bound_memory(1 << 27)\nbytearray(1 << 26)\n"
        "try: bytearray(1 << 28)\nexcept MemoryError: print('bound')"
    )
    done = subprocess.run([sys.executable, "-c", program, ROOT], capture_output=True, text=True, check=True)
    assert done.stdout == "bound\n"
    measured = (  # in a process of its own, whose children are those of this file alone
        "import resource, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom edge.errors import PrednetError\nfrom export.importing.network import read_network\n"
        "from tests.test_import_refusals import SIZE\n"
        "try: read_network([Path(name) for name in sys.argv[2:]], SIZE)\nexcept PrednetError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    files = [str(path) for path in hdf5(huge)(tmp_path)]
    done = subprocess.run([sys.executable, "-c", measured, ROOT, *files], capture_output=True, text=True, check=True)
    told, kilobytes = done.stdout.splitlines()
    assert "a network of more than 1074 MB is not read" in told
    assert int(kilobytes) < 600_000  # importing PyTorch alone takes 300 MB


def test_a_reader_that_dies_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that crashes the library, or fills it, ends a child process and nothing else."""
    path = write_hdf5(tmp_path / "w.hdf5", keras_weights(WEIGHTS, theano=False), config=CONFIG)
    for program, sentence in (
        ("import os; os.abort()", "the process that read it ended with -6"),
        ("raise MemoryError", "ended with 1; the file is damaged or wants more memory"),
        ("print('nonsense')", "gave no answer"),
        ("import time; time.sleep(9)", "takes longer than 0.5 s"),
    ):
        monkeypatch.setattr(reading, "_START", program)
        monkeypatch.setattr(reading, "_TIMEOUT_SECONDS", 0.5 if "sleep" in program else 60.0)
        with pytest.raises(PrednetError, match=sentence):
            read_network([path], Given())
