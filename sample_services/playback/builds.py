"""The releases of playback that can be deployed: what each calls itself and how it behaves.

The key is the deployer's own name for a release. It is never exported: telemetry sees an ordinary
version string, and whatever the behaviour does to viewers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sample_services.errors import UnknownBuildError

STABLE: Final = "stable"


@dataclass(frozen=True, slots=True)
class Build:
    """One release. The defaults are how a healthy one behaves."""

    version: str
    #: Share of the legacy televisions' plays whose licence is refused.
    legacy_licence_refusal_ratio: float = 0.001
    #: Multiplies the time to assemble a manifest.
    assembly_factor: float = 1.0
    #: Multiplies the size of the first segment the manifest starts with.
    first_segment_factor: float = 1.0
    #: Share of the titles whose manifest starts with a rendition nobody encoded.
    unencoded_start_ratio: float = 0.0


BUILDS: Final[Mapping[str, Build]] = {
    STABLE: Build(version="2.3.0"),
    # 30 % of a fifth of the plays: six points more failures on the arm.
    "F01": Build(version="2.4.0", legacy_licence_refusal_ratio=0.30),
    # Assembly is about 30 of the 40 ms of a request, so x1.67 is +50 % for the whole request.
    "F03": Build(version="2.4.2", assembly_factor=1.67, first_segment_factor=1.5),
    "F04": Build(version="2.4.3", unencoded_start_ratio=0.10),
    "N5": Build(version="2.4.1"),
}


def build_of(key: str) -> Build:
    """The release called ``key``. Raises UnknownBuildError."""
    found = BUILDS.get(key)
    if found is None:
        raise UnknownBuildError(f"no release {key!r}; known: {', '.join(sorted(BUILDS))}")
    return found


def digest_of(service: str, version: str) -> str:
    """The artifact digest a registry would give this release: ``sha256:<64 hex>``."""
    return "sha256:" + hashlib.sha256(f"{service}@{version}".encode()).hexdigest()
