"""Conditions on single values that OpenSLO's kinds share: names, keys, numbers, dates, zones."""

from __future__ import annotations

import calendar
import re
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from analysis.slo.openslo.rules import Check, InTurn

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_KEY = re.compile(r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_LABEL_VALUE = re.compile(r"([a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?)?")
_KEY_LENGTHS = re.compile(r"(.{0,253}/)?.{0,63}")
_ANNOTATION_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*/)?"
    r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
)
_QUALIFIED_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DATE_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2}) +"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})(?:[.,]\d+)?",
    re.ASCII,
)

OPERATORS: Final = ("gt", "lt", "gte", "lte")
#: Characters of a description.
DESCRIPTION_CHARS_MAX: Final = 1050

#: An RFC 1123 label, 1 to 63 characters.
DNS_LABEL: Final = InTurn(
    "string_dns_label",
    (
        Check("string_length", "1 to 63 characters", lambda text: 1 <= len(text) <= 63),
        Check(
            "string_match_regexp",
            "a-z, 0-9 and '-', letters or digits at both ends",
            lambda text: _DNS_LABEL.fullmatch(text) is not None,
        ),
    ),
)

#: Keys of v1 labels.
LABEL_KEY: Final = Check(
    "string_match_regexp",
    "at most 63 letters, digits, '-', '_', '.', letters or digits at both ends",
    lambda text: _LABEL_KEY.fullmatch(text) is not None,
)

#: Values of v2alpha labels.
LABEL_VALUE: Final = Check(
    "string_match_regexp",
    "at most 63 of a-z, 0-9, '-', '_', '.', letters or digits at both ends",
    lambda text: _LABEL_VALUE.fullmatch(text) is not None,
)

#: Keys of v1 annotations: a name, before it a domain and '/' if wanted.
ANNOTATION_KEY: Final = InTurn(
    "",
    (
        Check(
            "string_match_regexp",
            "at most 253 characters before '/', at most 63 after",
            lambda text: _KEY_LENGTHS.fullmatch(text) is not None,
        ),
        Check(
            "string_match_regexp",
            "a name such as my-key or my-domain.org/my-key",
            lambda text: _ANNOTATION_KEY.fullmatch(text) is not None,
        ),
    ),
)


def _is_qualified(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix or (slash and not 1 <= len(prefix.encode()) <= 253):
        return False
    if slash and not _DNS_SUBDOMAIN.fullmatch(prefix):
        return False
    return len(name.encode()) <= 63 and _QUALIFIED_PART.fullmatch(name) is not None


#: Keys of v2alpha labels and annotations.
KUBERNETES_NAME: Final = InTurn(
    "string_kubernetes_qualified_name",
    (
        Check("string_length", "1 to 317 characters", lambda text: 1 <= len(text) <= 317),
        Check("", "a name such as my-key or my-domain.org/my-key", _is_qualified),
    ),
)


def above(limit: float) -> Check:
    """More than the limit."""
    return Check("greater_than", f"more than {limit:g}", lambda value: value > limit)


def at_least(limit: float) -> Check:
    """The limit or more."""
    return Check("greater_than_or_equal_to", f"{limit:g} or more", lambda value: value >= limit)


def below(limit: float) -> Check:
    """Less than the limit."""
    return Check("less_than", f"less than {limit:g}", lambda value: value < limit)


def at_most(limit: float) -> Check:
    """The limit or less."""
    return Check("less_than_or_equal_to", f"{limit:g} or less", lambda value: value <= limit)


def _is_date_time(text: str) -> bool:
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return False
    year, month, day, hour, minute, second = (int(found[name]) for name in found.groupdict())
    if not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59:
        return False
    # The calendar repeats every 400 years; Python has no year 0.
    return 1 <= day <= calendar.monthrange(year % 400 + 400, month)[1]


DATE_TIME: Final = Check("string_date_time", "YYYY-MM-DD hh:mm:ss without a zone", _is_date_time)


def is_time_zone(name: str) -> bool:
    """Whether the IANA database knows the zone, in this very spelling."""
    if name in ("", "Local") or name.startswith(("/", "\\")) or ".." in name:
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


TIME_ZONE: Final = Check(
    "string_time_zone", "an IANA zone such as UTC or Europe/Warsaw", is_time_zone
)

#: A property that must not be there.
FORBIDDEN: Final = Check("forbidden", "nothing: leave it out", lambda value: value in (None, ""))
