#!/usr/bin/env python3
"""Starts a workflow of a repository by repository_dispatch. Standard library only.

    script_receiver.py ... -- ./github_actions.py OWNER/REPOSITORY TOKEN_FILE

which adds ACTION ENVIRONMENT SERVICE RELEASE_VERSION TARGET_VERSION TARGET_DIGEST.
"""
# ruff: noqa: S310, TID251

import json
import os
import sys
import urllib.request
from pathlib import Path

NAMES = ("action", "environment", "service", "release_version", "target_version", "target_digest")
API_URL = os.environ.get("GITHUB_API_URL", "https://api.github.com")

repository, token_file, *values = sys.argv[1:]
payload = dict(zip(NAMES, values, strict=True)) | {"decision_id": json.load(sys.stdin)["id"]}
order = {"event_type": f"davylamp-{payload['action']}", "client_payload": payload}
request = urllib.request.Request(
    f"{API_URL}/repos/{repository}/dispatches",
    json.dumps(order).encode(),
    {
        "accept": "application/vnd.github+json",
        "authorization": f"Bearer {Path(token_file).read_text().strip()}",
        "content-type": "application/json",
        "x-github-api-version": "2022-11-28",
    },
)
try:
    urllib.request.urlopen(request, timeout=30).close()
except OSError as error:
    sys.exit(f"{repository}: {error}")
