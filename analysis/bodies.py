"""Bodies the API takes, read strictly: every field known, typed and bounded."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from analysis.decisions.records import Arm, Declaration
from analysis.errors import BadRequestError
from analysis.params import LATEST_UNIX_NANO

#: Instances of one arm that may be named.
MAX_INSTANCES: Final = 1_000
#: Complaints about one body that are told.
MAX_COMPLAINTS: Final = 5

# What telemetry allows in deployment ids, but for the slash: it is a part of paths here.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}$")]
ShortName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# Printable, no control characters: it is shown to people and signed.
Label = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")
]
# Lines of words; PostgreSQL keeps no NUL.
Words = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[^\x00]+$")]
Detail = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00]*$")]
UnixNano = Annotated[int, Field(gt=0, le=LATEST_UNIX_NANO)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ArmBody(_Strict):
    """One arm of a declaration."""

    version: Label
    digest: Label
    instances: Annotated[list[Label], Field(max_length=MAX_INSTANCES)]


class DeclarationBody(_Strict):
    """POST /api/v1/canaries."""

    deployment_id: Name
    environment: ShortName
    service: ShortName
    baseline: ArmBody
    canary: ArmBody
    started_unix_nano: UnixNano
    expires_unix_nano: UnixNano


class ReleaseBody(_Strict):
    """POST /api/v1/guards/clear, /bar and /known-good."""

    environment: ShortName
    service: ShortName
    digest: Label
    who: Label
    reason: Label


class LockBody(_Strict):
    """POST /api/v1/guards/lock and /release; ``*`` is every environment."""

    environment: Annotated[
        str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63}|\*)$")
    ]
    who: Label
    reason: Label


class SettingsBody(_Strict):
    """POST /api/v1/guards/settings; ``sha256`` of what GET /api/v1/guards shows."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    who: Label
    reason: Label


class ReplayBody(_Strict):
    """POST .../replay of a delivery, .../approve and .../withdraw of a proposal."""

    who: Label
    reason: Label


class SecretBody(_Strict):
    """PUT /api/v1/endpoints/{endpoint_id}/secret; no repr of it shows the secret."""

    who: Label
    secret: Annotated[SecretStr, Field(min_length=1, max_length=200)]
    keep_previous: bool = True


class StatusBody(_Strict):
    """POST /api/v1/decisions/{decision_id}/status."""

    status: Literal["acknowledged", "completed"]
    unix_nano: UnixNano
    detail: Detail = ""


class OnceBody(_Strict):
    """``[from, to)`` in Unix seconds."""

    from_unix_s: Annotated[int, Field(gt=0, le=LATEST_UNIX_NANO // 10**9)]
    to_unix_s: Annotated[int, Field(gt=0, le=LATEST_UNIX_NANO // 10**9)]


class RecurringBody(_Strict):
    """Spans that begin at ``start_time`` (local, without an offset) and again by an RRULE."""

    start_time: Label
    time_zone: Label
    duration_s: Annotated[int, Field(gt=0)]
    rule: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class CorrectionBody(_Strict):
    """POST /api/v1/slo-corrections. No ``objectives``: all of them."""

    who: Label
    reason: Words
    category: ShortName = "maintenance"
    objectives: Annotated[list[Label], Field(max_length=500)] = []
    once: OnceBody | None = None
    recurring: RecurringBody | None = None


class OverrideBody(_Strict):
    """POST /api/v1/slo-policies/overrides; ``step`` is ``<policy>/<step>``."""

    who: Label
    reason: Words
    step: Label
    objective: Label = "*"
    expires_unix_nano: UnixNano


class CauseBody(_Strict):
    """POST /api/v1/slo-causes; ``service`` ``*`` is every one."""

    who: Label
    kind: Literal["chaos", "maintenance", "deploy", "incident"]
    title: Label
    service: Annotated[
        str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63}|\*)$")
    ] = "*"
    from_unix_s: Annotated[int, Field(gt=0, le=LATEST_UNIX_NANO // 10**9)]
    to_unix_s: Annotated[int, Field(gt=0, le=LATEST_UNIX_NANO // 10**9)]


class WithdrawalBody(_Strict):
    """POST /api/v1/slo-corrections/{correction_id}/withdraw."""

    who: Label
    reason: Words


def read_declaration(raw: bytes) -> Declaration:
    """A declaration. Raises BadRequestError."""
    body = _read(DeclarationBody, raw)
    if body.expires_unix_nano <= body.started_unix_nano:
        raise BadRequestError(
            "expires_unix_nano is not after started_unix_nano",
            accepted="expires_unix_nano > started_unix_nano",
        )
    return Declaration(
        deployment_id=body.deployment_id,
        environment=body.environment,
        service=body.service,
        baseline=_arm(body.baseline),
        canary=_arm(body.canary),
        started_unix_nano=body.started_unix_nano,
        expires_unix_nano=body.expires_unix_nano,
    )


def read_status(raw: bytes) -> StatusBody:
    """A status report. Raises BadRequestError."""
    return _read(StatusBody, raw)


def read_release(raw: bytes) -> ReleaseBody:
    """A release that a person names. Raises BadRequestError."""
    return _read(ReleaseBody, raw)


def read_cause(raw: bytes) -> CauseBody:
    """Something that may have spent budgets. Raises BadRequestError."""
    body = _read(CauseBody, raw)
    if body.to_unix_s <= body.from_unix_s:
        raise BadRequestError("to_unix_s is not after from_unix_s", accepted="a later end")
    return body


def read_override(raw: bytes) -> OverrideBody:
    """A step of a policy that a person suspends. Raises BadRequestError."""
    return _read(OverrideBody, raw)


def read_lock(raw: bytes) -> LockBody:
    """An environment that a person names. Raises BadRequestError."""
    return _read(LockBody, raw)


def read_settings(raw: bytes) -> SettingsBody:
    """Settings that a person names. Raises BadRequestError."""
    return _read(SettingsBody, raw)


def read_replay(raw: bytes) -> ReplayBody:
    """Who does it, and why. Raises BadRequestError."""
    return _read(ReplayBody, raw)


def read_secret(raw: bytes) -> SecretBody:
    """A secret that somebody sets. Raises BadRequestError, which does not show it."""
    return _read(SecretBody, raw)


def read_correction(raw: bytes) -> CorrectionBody:
    """Time that shall not count. Raises BadRequestError."""
    body = _read(CorrectionBody, raw)
    if (body.once is None) == (body.recurring is None):
        raise BadRequestError(
            "a correction is once or recurring, one of them", accepted="once or recurring"
        )
    return body


def read_withdrawal(raw: bytes) -> WithdrawalBody:
    """Who takes a correction back, and why. Raises BadRequestError."""
    return _read(WithdrawalBody, raw)


def _arm(body: ArmBody) -> Arm:
    return Arm(body.version, body.digest, tuple(body.instances))


Body = TypeVar("Body", bound=_Strict)


def _read(model: type[Body], raw: bytes) -> Body:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        complaints = [
            f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}"
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise BadRequestError(
            "; ".join(complaints[:MAX_COMPLAINTS]),
            accepted="a JSON object with " + ", ".join(model.model_fields),
        ) from None
