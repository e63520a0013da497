import json
from typing import Any

import pytest

from audiostory_core.errors import BadInput
from audiostory_core.model.config import NetworkConfig
from tests.support import golden_recipe


@pytest.mark.parametrize("config", [NetworkConfig(), golden_recipe.config()])
def test_config_survives_json(config: NetworkConfig) -> None:
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_fields_left_out_are_the_published_ones() -> None:
    config = NetworkConfig.from_dict({"dit": {"num_layers": 2}})
    assert config.dit.num_layers == 2
    assert config.dit.num_single_layers == 18
    assert config.vae == NetworkConfig().vae
    assert (config.feature_scale, config.scales_twice) == (10.0, False)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"dit": {"num_layers": "six"}}, "dit.num_layers"),
        ({"dit": {"num_layers": True}}, "dit.num_layers"),
        ({"dit": {"num_layers": 0}}, "dit.num_layers"),
        ({"dit": {"depth": 6}}, "dit.depth"),
        ({"dit": {"attention_head_dim": 64}}, "dit.attention_head_dim"),
        ({"dit": {"joint_attention_dim": 1023}}, "dit.joint_attention_dim"),
        ({"dit": {"in_channels": 32}}, "dit.in_channels"),
        ({"dit": [6, 18]}, "dit"),
        ({"vae": {"downsampling_ratios": 2048}}, "vae.downsampling_ratios"),
        ({"vae": {"downsampling_ratios": [2, 4, 4, 8, 7]}}, "vae.downsampling_ratios"),
        ({"vae": {"channel_multiples": [1, 2]}}, "vae.channel_multiples"),
        ({"vae": {"sampling_rate": 48_000}}, "vae.sampling_rate"),
        ({"vae": {"audio_channels": 1}}, "vae.audio_channels"),
        ({"text_encoder": "flan-t5-large"}, "text_encoder"),
        ({"feature_scale": float("nan")}, "feature_scale"),
        ({"feature_scale": -10}, "feature_scale"),
        ({"scales_twice": 1}, "scales_twice"),
        ({"hidden_size": 1e9}, "hidden_size"),
        ({"layers": 3}, "layers"),
        ([], "network"),
    ],
)
def test_field_that_no_network_can_have_is_named(values: Any, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        NetworkConfig.from_dict(values)
    assert refused.value.field == field
