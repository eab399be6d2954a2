"""Asking the running analysis from the command line, with a token of one's own or its own."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from davylamp.config import Settings
from davylamp.errors import DavylampError

TIMEOUT_S: Final = 10.0
#: Of an answer that refuses, this much is shown.
MAX_SHOWN_BYTES: Final = 500


class AskingError(DavylampError):
    """The analysis cannot be asked, or refuses; one sentence says why."""


def ask_analysis(
    settings: Settings,
    path: str,
    body: Mapping[str, Any] | None = None,
    token_file: Path | None = None,
) -> Any:
    """GET, or POST when there is a ``body``, below ``/api/v1/``. Raises AskingError.

    ``token_file``: somebody's own token, shown in the place of the installation's.
    """
    url = f"{settings.url('analysis', 'api_port')}/api/v1/{path}"
    try:
        token = (token_file or settings.api_token_file).read_text().strip()
        request = urllib.request.Request(  # noqa: S310 - http://, from our own settings
            url,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        said = error.read()[:MAX_SHOWN_BYTES].decode(errors="replace")
        raise AskingError(f"{url} answers {error.code}: {said}") from None
    except OSError as error:
        raise AskingError(f"{url} cannot be asked: {error}") from None
