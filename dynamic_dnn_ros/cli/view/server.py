# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The web server of the page: its files, what is heard as events, pictures, and the form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
import json
from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp
import uvicorn

from dynamic_dnn_ros.cli.view.access import Guard
from dynamic_dnn_ros.cli.view.feed import FULL, Feed, Source
from dynamic_dnn_ros.cli.view.requests import ACTIONS, FormError
from dynamic_dnn_ros.client import ClientError
from dynamic_dnn_ros.pictures.scaling import PictureError

PAGE = Path(__file__).parent / 'page'

FILES = {
    '/': ('index.html', 'text/html'),
    '/icon.svg': ('icon.svg', 'image/svg+xml'),
    '/style.css': ('style.css', 'text/css'),
    '/page.js': ('page.js', 'text/javascript'),
    '/charts.js': ('charts.js', 'text/javascript'),
    '/uplot.js': ('uplot/uPlot.iife.min.js', 'text/javascript'),
    '/uplot.css': ('uplot/uPlot.min.css', 'text/css'),
}

MOST_BODY = 4096
"""Bytes of a form, at most."""

MOST_CONNECTIONS = 96
"""Of all viewers together; a browser takes six at most."""

FAREWELL = 1
"""Seconds that open pages are given when the server ends."""


class ShownSystem(Source, Protocol):
    """What the server shows, see `Session`."""

    def picture(self, application: str) -> tuple[int, bytes]:
        """Return the newest picture as JPEG, with its number."""

    def request(self, action: str, application: str, form: Mapping[str, Any]) -> dict[str, Any]:
        """Set, ask about or clear a target."""


def page_application(shown: ShownSystem, token: str = '', cookie: str = 'view') -> ASGIApp:
    """
    Return the page as an ASGI application.

    :param token: that has to be brought; empty: none, but requests have to be meant for localhost
    :param cookie: name of the cookie that keeps the token
    """
    feed = Feed(shown)
    contents = {path: (PAGE / name).read_bytes() for path, (name, _) in FILES.items()}

    async def file(request: Request) -> Response:
        path = request.url.path
        headers = {'Cache-Control': 'no-cache'}
        return Response(contents[path], media_type=FILES[path][1], headers=headers)

    async def events(request: Request) -> Response:
        if feed.is_full:
            return PlainTextResponse(f'{FULL}\n', 503)
        return StreamingResponse(
            _events(feed),
            media_type='text/event-stream',
            headers={'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no'},
        )

    async def picture(request: Request) -> Response:
        name = request.query_params.get('application', '')
        try:
            _, jpeg = await asyncio.to_thread(shown.picture, name)
        except PictureError as error:
            return PlainTextResponse(f'{error}\n', 404)
        return Response(jpeg, media_type='image/jpeg', headers={'Cache-Control': 'no-store'})

    async def target(request: Request) -> Response:
        try:
            body = await _body_of(request)
            application, form = body.get('application'), body.get('form', {})
            if not isinstance(application, str) or not isinstance(form, dict):
                raise FormError('give the application as a text, and its form as a mapping.')
            action = request.path_params['action']
            if action not in ACTIONS:
                raise FormError(f'{action!r} is not one of: {", ".join(ACTIONS)}.')
            with feed.viewer():  # whoever asks looks, so that listening ends afterwards
                answer = await asyncio.to_thread(shown.request, action, application, form)
        except (FormError, ClientError) as error:
            return JSONResponse({'look': 'bad', 'message': str(error), 'rows': []}, 400)
        return JSONResponse(answer)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(feed.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    application = Starlette(
        routes=[
            *(Route(path, file) for path in FILES),
            Route('/events', events),
            Route('/picture', picture),
            Route('/target/{action}', target, methods=['POST']),
        ],
        lifespan=lifespan,
    )
    return Guard(application, token, cookie)


async def _events(feed: Feed) -> AsyncIterator[str]:
    with feed.viewer() as viewer:
        async for text in viewer.messages():
            yield f'data: {text}\n\n'


async def _body_of(request: Request) -> dict[str, Any]:
    """
    Return the JSON object that a request brings.

    :raises FormError: when there is none, or it is too large
    """
    if request.headers.get('content-type', '').split(';')[0] != 'application/json':
        raise FormError('send the form as application/json.')
    body = b''
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise FormError(f'the form is larger than {MOST_BODY} bytes.')
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FormError(f'the form is no JSON: {error}.') from error
    if not isinstance(data, dict):
        raise FormError('the form is no JSON object.')
    return data


def server_of(application: ASGIApp) -> uvicorn.Server:
    """Return what serves an application on sockets that listen, until SIGINT or SIGTERM."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            log_level='warning',
            access_log=False,
            server_header=False,
            lifespan='on',
            loop='asyncio',
            http='h11',
            ws='none',
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=FAREWELL,
        )
    )
