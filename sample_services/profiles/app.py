"""The profiles service."""

from __future__ import annotations

from fastapi import FastAPI, Response

from sample_services.leaf_app import leaf_app
from sample_services.profiles.domain import account_of
from sample_services.serving import Birth, json_response, serve

MEDIAN_S = 0.003
SIGMA = 0.4


def build_app(birth: Birth) -> FastAPI:
    """The routes of profiles."""
    app, service_time = leaf_app(birth, median_s=MEDIAN_S, sigma=SIGMA)

    @app.get("/v1/accounts/{account}")
    async def accounts(account: str) -> Response:
        await service_time.pass_()
        return json_response(account_of(account).to_json())

    return app


def main(birth: Birth) -> None:
    """One profiles instance, until SIGTERM."""
    serve(build_app(birth), birth)
