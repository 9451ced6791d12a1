# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role gateway_function writes for a gateway, as TOML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomllib
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.feedback import METRIC
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "gateway_function"
DEFAULTS: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text("utf-8"))


def written(**variables: Any) -> dict[str, Any]:
    """The configuration that the role writes with these variables."""
    templar = Templar(DataLoader(), variables={**DEFAULTS, **variables})
    template = (ROLE / "templates" / "tensorzero.toml.j2").read_text("utf-8")
    return tomllib.loads(templar.template(template, escape_backslashes=False))


def test_with_its_defaults_the_role_writes_the_configuration_that_is_shipped() -> None:
    shipped = tomllib.loads((ROOT / "tensorzero" / "tensorzero.toml").read_text("utf-8"))
    assert written() == shipped
    assert FUNCTION_MODEL.rpartition("::")[2] in shipped["functions"]
    assert shipped["metrics"][METRIC]["level"] == "episode"


def test_variants_are_drawn_by_weight_and_the_others_used_when_those_fail() -> None:
    variants = {
        "fast": {"model": "openai::small", "weight": 0.75},
        "careful": {"model": "openai::large", "weight": 0.25, "json_mode": "strict"},
        "spare": {"model": "local"},
    }
    function = written(nannyapi_gateway_variants=variants)["functions"]["diagnose_and_heal"]
    assert function["experimentation"] == {
        "type": "static",
        "candidate_variants": {"fast": 0.75, "careful": 0.25},
        "fallback_variants": ["spare"],
    }
    assert {name: (each["model"], each["json_mode"]) for name, each in function["variants"].items()} == {
        "fast": ("openai::small", "on"),
        "careful": ("openai::large", "strict"),
        "spare": ("local", "on"),
    }


def test_any_setting_and_any_text_arrives_as_it_was_given() -> None:
    model = {"routing": ["s"], "providers": {"s": {"type": "openai", "model_name": 'a"b\\ü😀', "n": [1, True, 0.5]}}}
    variant = {"model": "m", "retries": {"num_retries": 2, "max_delay_s": 5}, "stop_sequences": ["\n", "]"]}
    config = written(nannyapi_gateway_variants={"dots.and ü": variant}, nannyapi_gateway_models={"m": model})
    assert config["models"] == {"m": model}
    shown = config["functions"]["diagnose_and_heal"]["variants"]["dots.and ü"]
    assert {name: shown[name] for name in variant} == variant
