"""People sign in at their organisation's OpenID provider (OpenID Connect Core 1.0, code flow)."""
