"""Why somebody is not signed in, drawn.

::

    SignInError
    ├── BadAnswerError       400: what came back from the provider is not for this browser, now
    ├── NotAllowedError      403: the provider knows the person, the settings do not
    ├── NotMadeError         409: a token cannot be made for somebody now
    └── ProviderError        502: the provider cannot be reached or says what cannot be right
    SignInSettingsError      the settings cannot work; the process does not start
"""

from __future__ import annotations


class SignInError(Exception):
    """One sentence for the person; no code, token or secret is in it."""

    http_status = 400
    #: In the counter of refusals.
    outcome = "sign_in"


class BadAnswerError(SignInError):
    """What came back is another browser's, too old, forged or refused by the provider."""


class NotAllowedError(SignInError):
    """The person is nobody whom the settings let in."""

    http_status = 403


class NotMadeError(SignInError):
    """A token cannot be made for somebody who has signed in."""

    http_status = 409


class ProviderError(SignInError):
    """The provider does not answer, or not as OpenID Connect says."""

    http_status = 502


class SignInSettingsError(Exception):
    """What is set, and what would be accepted."""
