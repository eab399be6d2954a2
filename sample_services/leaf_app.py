"""What the services without dependencies share: telemetry, a service time, one application."""

from __future__ import annotations

from fastapi import FastAPI

from sample_services import observability
from sample_services.latency import ServiceTime, seeded
from sample_services.serving import Birth, lifespan_of


def leaf_app(birth: Birth, *, median_s: float, sigma: float) -> tuple[FastAPI, ServiceTime]:
    """An observed application with /healthz, and the service time its handlers should take."""
    observed = observability.observe(birth.spec, birth.instance_id, birth.config)

    async def start() -> None:
        return None

    async def stop() -> None:
        observability.close(observed)

    app = FastAPI(
        title=birth.spec.service, docs_url=None, redoc_url=None, lifespan=lifespan_of(start, stop)
    )
    observability.observe_app(app, observed, is_edge=False)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    rng = seeded(birth.config.seed, birth.spec.slot)
    return app, ServiceTime(rng, median_s=median_s, sigma=sigma)
