"""The site as an ASGI application: which view answers which address. It only reads, and asks nothing of anybody else."""

from collections.abc import Callable

import pyarrow as pa
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from data_specs.errors import SynclrError, in_one_line
from flows.site import check, compare, grid, pages, run, runs, sample, scores, shard
from flows.site.addresses import FRONT
from flows.site.site import Site, SitePage, UnknownPageError
from tasks import storage

View = Callable[..., SitePage]
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
OF_REPORT = SECURITY | {"Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'"}
"""A report holds its own style and images."""
HOSTS = ["127.0.0.1", "localhost"]
"""By what names a browser may ask: a page elsewhere whose name is made to mean this machine must not read runs."""


def site_app(site: Site) -> Starlette:
    views: dict[str, View] = {
        "/": runs.runs_view,
        f"/{FRONT}": runs.runs_view,
        "/compare/{left}.html": runs.choose_view,
        "/compare/{left}/{right}.html": compare.compare_view,
        "/runs/{run}/index.html": run.run_view,
        "/runs/{run}/scores.html": scores.scores_view,
        "/runs/{run}/encoder.html": scores.encoder_view,
        "/runs/{run}/check.html": check.check_view,
        "/runs/{run}/{stage}/index.html": grid.stage_view,
        "/runs/{run}/{stage}/page-{page:int}.html": grid.stage_view,
        "/runs/{run}/{stage}/{stem}-page-{page:int}.html": shard.shard_view,
        "/runs/{run}/{stage}/{stem}.html": shard.shard_view,
        "/runs/{run}/samples/{shard:int}/{caption}.html": sample.sample_view,
    }
    app = Starlette(
        routes=[
            *(Route(f"/{name}", _file) for name in pages.FILES),
            Route("/runs/{run}/report.html", _report),
            *(Route(address, _answer(view)) for address, view in views.items()),
            Route("/runs/{run}/samples/{shard:int}/{caption}-{copy:int}.{form}", _image),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
        exception_handlers={
            UnknownPageError: _unknown,
            HTTPException: _refused,
            SynclrError: _unreadable,
            OSError: _unreadable,
            pa.ArrowException: _unreadable,
        },
    )
    app.state.site = site
    return app


def _answer(view: View) -> Callable[[Request], Response]:
    """Starlette calls what is no coroutine in a thread: one page that reads long keeps no other waiting."""

    def answer(request: Request) -> Response:
        return _page(request, view(request.app.state.site, **request.path_params))

    return answer


def _page(request: Request, page: SitePage, status: int = 200) -> Response:
    return HTMLResponse(pages.html(page, request.url.path.lstrip("/")), status, SECURITY)


def _file(request: Request) -> Response:
    name = request.url.path.lstrip("/")
    return Response(pages.file(name), media_type=pages.FILES[name], headers=SECURITY)


def _report(request: Request) -> Response:
    site: Site = request.app.state.site
    report = storage.read_bytes(f"{site.folder(request.path_params['run'])}/report.html")
    if report is None:
        raise UnknownPageError("this run has no report yet")
    return HTMLResponse(report, headers=OF_REPORT)


def _image(request: Request) -> Response:
    data, media = sample.image_bytes(request.app.state.site, **request.path_params)
    return Response(data, media_type=media, headers=SECURITY)


def _unknown(request: Request, error: Exception) -> Response:
    return _page(request, pages.message("Not here", in_one_line(error)), 404)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _page(request, pages.message(error.detail, f"{request.url.path} is no page of this site"), error.status_code)


def _unreadable(request: Request, error: Exception) -> Response:
    """What somebody has damaged is a line: the site itself is well."""
    return _page(request, pages.message("Cannot be read", in_one_line(error)))
