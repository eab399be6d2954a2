"""The recommendations service."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Response

from sample_services.leaf_app import leaf_app
from sample_services.recommendations.domain import rows_for
from sample_services.serving import Birth, json_response, serve

MEDIAN_S = 0.008
SIGMA = 0.5


def build_app(birth: Birth) -> FastAPI:
    """The routes of recommendations."""
    app, service_time = leaf_app(birth, median_s=MEDIAN_S, sigma=SIGMA)

    @app.get("/v1/rows")
    async def rows(account: Annotated[str, Query(max_length=64)]) -> Response:
        await service_time.pass_()
        return json_response({"rows": rows_for(account, titles=birth.config.titles)})

    return app


def main(birth: Birth) -> None:
    """One recommendations instance, until SIGTERM."""
    serve(build_app(birth), birth)
