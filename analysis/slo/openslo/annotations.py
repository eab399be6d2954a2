"""What other dialects say and OpenSLO does not: kept in annotations under a prefix of our own.

The official tools refuse unknown properties and leave annotations alone, so a file stays theirs to
read, and nothing is lost on the way back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from analysis.slo.openslo.errors import ConversionError

PREFIX: Final = "davylamp/"
SLOTH: Final = f"{PREFIX}sloth"
PYRRA: Final = f"{PREFIX}pyrra"


def packed(content: Mapping[str, Any]) -> str:
    """Plain data as the text of an annotation."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def unpacked(where: str, annotations: Mapping[str, str], key: str) -> dict[str, Any]:
    """What ``packed`` made, {} if there is none. Raises ConversionError for any other text."""
    text = annotations.get(key)
    if text is None:
        return {}
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConversionError(where, f"annotation {key} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ConversionError(where, f"annotation {key} is no JSON object")
    return content
