"""Errors of the Kayenta mode.

KayentaError
├── KayentaInputError    a config, metric set or request Kayenta would refuse
└── AllTiedError         the interval does not exist: every observation of both sides is equal
"""

from __future__ import annotations


class KayentaError(Exception):
    """Base of everything the Kayenta mode raises on purpose."""


class KayentaInputError(KayentaError):
    """What Kayenta answers with an illegal-argument error."""


class AllTiedError(KayentaError):
    """No spread of ranks at some shift, so no interval."""
