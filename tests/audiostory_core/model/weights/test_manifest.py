"""Descriptions of weights changed at random: each is refused, or is read like any other."""

import json
import random

from audiostory_core.errors import BadInput
from audiostory_core.model.config import NetworkConfig
from audiostory_core.model.weights.loading import Weights
from audiostory_core.model.weights.manifest import FileRecord, Manifest, hash_file

ROUNDS = 1_500
VALUES = [
    "null", "true", '""', '"x"', '"\\u0000"', '"\\ud800"', "[]", "{}", "[[]]", '{"x": 1}', "0", "-1", "1.5", "1e308",
    "1e400", "NaN", "16777217", "9223372036854775808", "9" * 400, "9" * 5_000,
    "[" * 100_000 + "]" * 100_000,
]  # fmt: skip
NAMES = ["\ud800", "\0", "", "../x", "/x", "a" * 300, "\x1b[2J"]


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _mutated(rng, text):
    """Return JSON with one value replaced, left out or named otherwise."""
    tree = json.loads(text)
    holder, key = rng.choice(list(_places(tree)))
    if isinstance(holder, dict) and rng.random() < 0.3:
        value = holder.pop(key)
        if rng.random() < 0.5:
            holder[rng.choice(NAMES)] = value
        return json.dumps(tree)
    holder[key] = "@"
    return json.dumps(tree).replace('"@"', rng.choice(VALUES), 1)


def test_description_changed_anywhere_is_refused_or_read(tmp_path):
    rng = random.Random(3)
    network, manifest = tmp_path / "network.json", tmp_path / "manifest.json"
    sound = json.dumps(NetworkConfig(text_encoder={"d_model": 8, "sizes": [1]}).as_dict())
    opened = 0
    for _ in range(ROUNDS):
        is_networks = rng.random() < 0.5
        network.write_text(_mutated(rng, sound) if is_networks else sound)
        record = FileRecord(network.stat().st_size, hash_file(network))
        text = Manifest("float32", {network.name: record}).to_json().decode()
        manifest.write_text(text if is_networks else _mutated(rng, text))
        try:
            Weights.open(tmp_path)
        except BadInput as error:
            problem = error
        else:
            opened += 1

    assert 0 < opened < ROUNDS
    assert problem.field == "weights"
