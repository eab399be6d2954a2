"""The steering service."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Query, Response

from sample_services.leaf_app import leaf_app
from sample_services.serving import Birth, json_response, serve
from sample_services.steering.domain import rank

MEDIAN_S = 0.002
SIGMA = 0.4


def build_app(birth: Birth) -> FastAPI:
    """The routes of steering."""
    app, service_time = leaf_app(birth, median_s=MEDIAN_S, sigma=SIGMA)

    @app.get("/v1/locations")
    async def locations(isp: Annotated[str, Query(max_length=32)]) -> Response:
        await service_time.pass_()
        return json_response({"locations": rank(isp, birth.spec.zone)})

    return app


def main(birth: Birth) -> None:
    """One steering instance, until SIGTERM."""
    serve(build_app(birth), birth)
