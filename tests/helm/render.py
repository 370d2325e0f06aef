"""Runs where Helm is installed: lint and render a chart, check each object by Kubernetes' schemas; JSON in and out."""

from __future__ import annotations

import json
import sys
from typing import Any

import helm_python as helm  # type: ignore[import-not-found]  # in an environment of its own
import kubernetes_validate  # type: ignore[import-not-found]  # there, too
import yaml  # type: ignore[import-untyped]  # its types are a package of their own

KUBERNETES = "1.35"


def rendered(chart: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return what Helm says of a chart with values: ``lint``, and ``objects`` or ``error``."""
    report = helm.lint(chart, values=values)
    told: dict[str, Any] = {"lint": [*report["errors"], *(one for one in report["messages"] if one["severity"] > 1)]}
    try:
        with helm.Chart.load(chart) as loaded:
            loaded.validate_schema(values)
            texts = loaded.render(values=values, name="demo", namespace="archive")
    except helm.HelmError as error:
        return {**told, "error": str(error)}
    objects = [one for name, text in texts.items() if name.endswith(".yaml") for one in yaml.safe_load_all(text) if one]
    for one in objects:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    return {**told, "objects": objects}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump([rendered(sys.argv[1], values) for values in asked], sys.stdout)
