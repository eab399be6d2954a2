"""The few pages around signing in, as plain HTML that needs no script."""

from __future__ import annotations

from html import escape
from typing import Final

#: No script, no frame; the one form posts to us.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)


def refused(sentence: str) -> str:
    """Somebody was not signed in."""
    return _page(
        "You are not signed in",
        f'<p>{escape(sentence)}.</p><p><a class="link" href="/signin">Sign in again</a></p>',
    )


def sign_out(name: str) -> str:
    """The question before signing out; a link alone must not do it."""
    return _page(
        "Sign out?",
        f"<p>You are signed in as {escape(name)}.</p>"
        '<form method="post" action="/signout"><button type="submit">Sign out</button></form>'
        '<p><a class="link" href="/signin/token">Make a token</a> · '
        '<a class="link" href="/">Back</a></p>',
    )


def token_question(name: str, scopes: str) -> str:
    """Before a token is made; a link alone must not do it."""
    return _page(
        "Make a token?",
        f"<p>For commands and programs of {escape(name)}. It allows {escape(scopes)}, and is over "
        "when this session would be.</p>"
        '<form method="post" action="/signin/token"><button type="submit">Make it</button></form>'
        '<p><a class="link" href="/">Back</a></p>',
    )


def token_made(text: str) -> str:
    """The token, this once."""
    return _page(
        "Your token",
        f"<p><code>{escape(text)}</code></p><p>It is shown this once. Send it as "
        "<code>Authorization: Bearer</code>.</p>"
        '<p><a class="link" href="/">Back</a></p>',
    )


def not_done(sentence: str) -> str:
    """Somebody is signed in, but this was refused."""
    return _page(
        "That was not done",
        f'<p>{escape(sentence)}.</p><p><a class="link" href="/">Back</a></p>',
    )


def signed_out() -> str:
    """After it; the provider's own session goes on."""
    return _page(
        "You are signed out",
        "<p>Of Davylamp; your organisation's provider may still know you.</p>"
        '<p><a class="link" href="/signin">Sign in</a></p>',
    )


def _page(title: str, body: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title} · Davylamp</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>{title}</h1>
{body}
</main></body></html>
"""
