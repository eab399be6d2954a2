"""The sample stack as its own program: settings as JSON in the first argument."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sample_services.config import SamplesConfig
from sample_services.stack import run

if __name__ == "__main__":
    fields = json.loads(sys.argv[1])
    for name in ("webhook_secret_file", "api_token_file", "state_dir"):
        fields[name] = Path(fields[name])
    sys.exit(run(SamplesConfig(**fields)))
