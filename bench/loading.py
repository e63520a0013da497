"""How long the network takes to load, in how much memory, and what a second process adds.

    python -m bench.loading [--times 3] [--hidden 1024] [--layers 6] [--folder FOLDER]

A checkpoint of some hundred MB in the published layout, whose values are random and whose layers
have the published DiT's width, is converted, and then loaded by processes of their own: by one
whose files are not in the page cache, then by two that hold it at once. *copied* reads the same
files into memory of the process, for comparison.

*anonymous* is memory of the process alone, *mapped* is pages of files, which processes share; both
are what came on top of the imports. *PSS* counts a page shared by n processes as its n-th part.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from audiostory_core.model.config import DitConfig
from audiostory_core.model.dit import Dit
from audiostory_core.model.weights.convert import convert
from audiostory_core.model.weights.loading import Weights
from audiostory_core.model.weights.tensor_files import read_safetensors
from tests.support.large_checkpoint import write_large

PARTS = ("synthesizer", "language model", "copied")
FILES = {
    "synthesizer": ("fusion.safetensors", "dit.safetensors", "vae.safetensors"),
    "language model": ("llm/model.safetensors",),
    "copied": ("fusion.safetensors", "dit.safetensors", "vae.safetensors"),
}
DIT = DitConfig(num_layers=1, num_single_layers=4, audio_seq_len=48)
POLL_S = 0.002
TOKENS = 64

Memory = dict[str, float]


def write_checkpoint(folder: Path, hidden_size: int, layers: int) -> int:
    """Write a published checkpoint; return the bytes of its largest file."""
    write_large(folder, hidden_size, layers, torch.float32)
    path = folder / "audiostory_3b" / "pytorch_model.bin"
    flat = torch.load(path, weights_only=True)
    parts = ("transformer.", "fc.", "duration_emebdder.")
    for key in [key for key in flat if key.startswith(tuple(f"tangoflux.{p}" for p in parts))]:
        del flat[key]
    with torch.device("meta"):
        shapes = Dit(DIT).state_dict()
    generator = torch.Generator().manual_seed(0)
    for name, like in shapes.items():
        published = name.replace("duration_embedder.", "duration_emebdder.")  # their spelling
        value = torch.empty(like.shape).uniform_(-0.05, 0.05, generator=generator)
        flat[f"tangoflux.{published}"] = value
    torch.save(flat, path)
    told = folder / "Flux_detokenizer" / "config.json"
    wanted = {
        "num_layers": DIT.num_layers,
        "num_single_layers": DIT.num_single_layers,
        "num_attention_heads": DIT.num_attention_heads,
        "audio_seq_len": DIT.audio_seq_len,
    }
    told.write_text(json.dumps(json.loads(told.read_text()) | wanted))
    return path.stat().st_size


def memory(pid: int | str = "self") -> Memory:
    """Memory of a process in MB: anonymous, mapped, and the most of both there was at once."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    told = dict(line.split(":", 1) for line in lines)
    fields = {"anonymous": "RssAnon", "mapped": "RssFile", "peak": "VmHWM"}
    return {name: int(told[field].split()[0]) * 1024 / 1e6 for name, field in fields.items()}


def shares() -> Memory:
    """Resident and proportional memory of this process in MB."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    lines = [line.split() for line in text.splitlines()[1:]]
    told = {line[0].rstrip(":"): int(line[1]) * 1024 / 1e6 for line in lines}
    return {"Rss": told["Rss"], "Pss": told["Pss"]}


def child(part: str, folder: Path) -> None:
    """Load a part, tell, and hold it until a line is read; then tell what is shared."""
    torch.set_num_threads(1)
    before, shared_before = memory(), shares()
    started = time.perf_counter()
    weights = Weights.open(folder)
    opened = time.perf_counter()
    use = _load(part, weights)
    loaded = time.perf_counter()
    after = memory()
    use()
    used = time.perf_counter()
    print(
        json.dumps(
            {
                "open": opened - started,
                "load": loaded - opened,
                "use": used - loaded,
                "loaded": {name: after[name] - before[name] for name in after},
                "used": {name: value - before[name] for name, value in memory().items()},
            }
        ),
        flush=True,
    )
    for _ in sys.stdin:
        now = shares()
        print(json.dumps({name: now[name] - shared_before[name] for name in now}), flush=True)


def _load(part: str, weights: Weights) -> Callable[[], object]:
    """Load a part; return something that reads all of it."""
    if part == "language model":
        model = weights.language_model("cpu", "float32")
        return lambda: model.states(range(TOKENS))
    if part == "copied":
        files = [read_safetensors(weights.folder / name) for name in FILES[part]]
        held = [tensor.clone() for file in files for tensor in file.values()]
        return lambda: len(held)
    synthesizer = weights.synthesizer("cpu", "float32")
    width = weights.config.dit.joint_attention_dim
    tokens = torch.zeros(1, 64, width), torch.zeros(1, 8, width)

    def use() -> object:
        latents = synthesizer.sample(synthesizer.fuse(*tokens), [1.0], [0], steps=1)
        return synthesizer.decode(latents, [2048])

    return use


def convert_apart(source: Path, target: Path) -> None:
    """Convert in this process, and tell what it took; another one looks at its memory."""
    torch.set_num_threads(1)
    before = memory()
    print(json.dumps(before), flush=True)
    started = time.perf_counter()
    convert(source, target)
    print(json.dumps({"seconds": time.perf_counter() - started, **memory()}), flush=True)


def measure_conversion(source: Path, target: Path, largest: int) -> None:
    """Print how long it takes to convert, and in how much memory."""
    process = _start("--convert", str(source), str(target))
    before, most = _told(process), dict.fromkeys(("anonymous", "mapped"), 0.0)
    while process.poll() is None:
        try:
            now = memory(process.pid)
        except (FileNotFoundError, KeyError):  # it has just ended
            break
        most = {name: max(most[name], now[name]) for name in most}
        time.sleep(POLL_S)
    after = _told(process)
    if process.wait():
        raise RuntimeError("the conversion failed")
    whole = (after["peak"] - before["anonymous"] - before["mapped"]) * 1e6 / largest
    print(f"converted {largest / 1e6:,.0f} MB, the largest file, in {after['seconds']:.1f} s")
    print("| | before | most | more, × the largest file |\n|---|---|---|---|")
    for name, value in most.items():
        more = (value - before[name]) * 1e6 / largest
        print(f"| {name} | {before[name]:,.0f} MB | {value:,.0f} MB | {more:.2f} |")
    resident = before["anonymous"] + before["mapped"]
    print(f"| both at once | {resident:,.0f} MB | {after['peak']:,.0f} MB | {whole:.2f} |")
    print(f"whole process: {after['peak'] * 1e6 / largest:.2f} × the largest file", flush=True)


def measure_loading(folder: Path, times: int) -> None:
    """Print what one process and two at once take for each part."""
    columns = ["part", "files", "cache", "load (least … most)", "first use", "anonymous", "mapped"]
    columns += ["anonymous, used", "mapped, used", "PSS, of one", "PSS of each, of two"]
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _ in range(times):
        for part in PARTS:
            _evict(folder, part)
            cold = _start("--child", part, str(folder))
            first = _told(cold) | {"alone": _ask(cold)["Pss"]}
            warm = _start("--child", part, str(folder))
            second = _told(warm)
            both = _ask(cold)["Pss"], _ask(warm)["Pss"]
            for process in (cold, warm):
                process.communicate()
            rows.setdefault((part, "cold"), []).append(first | {"both": both[0]})
            rows.setdefault((part, "warm"), []).append(second | {"both": both[1]})
    for (part, cache), runs in rows.items():
        size = sum((folder / name).stat().st_size for name in FILES[part]) / 1e6
        seconds = [run["open"] + run["load"] for run in runs]
        cells = [f"{statistics.median(run['use'] for run in runs):.2f} s"]
        for when in ("loaded", "used"):
            for kind in ("anonymous", "mapped"):
                cells.append(f"{statistics.median(run[when][kind] for run in runs):,.0f} MB")
        for kind in ("alone", "both"):
            found = [run[kind] for run in runs if kind in run]
            cells.append(f"{statistics.median(found):,.0f} MB" if found else "")
        spread = f"{min(seconds):.2f} … {max(seconds):.2f}"
        load = f"{statistics.median(seconds):.2f} s ({spread})"
        print(f"| {part} | {size:,.0f} MB | {cache} | {load} | {' | '.join(cells)} |")


def _evict(folder: Path, part: str) -> None:
    """Drop a part's files from the page cache; they are on the disk."""
    for name in FILES[part]:
        opened = os.open(folder / name, os.O_RDONLY)
        try:
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(opened)


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.loading", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _told(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a process ended before it told anything")
    told: dict[str, Any] = json.loads(line)
    return told


def _ask(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return _told(process)


def main() -> None:
    """Print what converting and loading took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=1024, help="width of the language model")
    parser.add_argument("--layers", type=int, default=6, help="of the language model")
    parser.add_argument("--folder", type=Path, help="where to write; else where temporary files go")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--convert", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]))
        return
    if given.convert:
        convert_apart(*map(Path, given.convert))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        source, target = Path(made) / "published", Path(made) / "weights"
        largest = write_checkpoint(source, given.hidden, given.layers)
        measure_conversion(source, target, largest)
        measure_loading(target, given.times)


if __name__ == "__main__":
    main()
