# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may use the page: this computer alone, or whoever holds the token."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
import ipaddress
import secrets
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_BYTES = 24

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: its own files, nothing written into it, nothing of others."""

HEADERS = {
    'Content-Security-Policy': POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
}


def is_loopback(host: str) -> bool:
    """Tell whether an address or a name means this computer alone."""
    if host == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Guard:
    """
    Lets requests through to an application, of HTTP and of nothing else.

    Without a token, a request has to be meant for this computer by name: so no page of somebody
    else, whose name was made to lead here, gets anything. With one, it has to bring the token, by
    the address or by the cookie that the address sets. What changes something has to come from
    the page itself.
    """

    def __init__(self, application: ASGIApp, token: str, cookie: str) -> None:
        """
        Guard an application.

        :param token: empty: this computer needs none
        :param cookie: name of the cookie that holds it
        """
        self._application = application
        self._token = token
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope['type'] == 'lifespan':
            await self._application(scope, receive, send)
            return
        if scope['type'] != 'http':
            return  # nothing here speaks by web sockets: the server refuses them

        async def send_safely(message: Message) -> None:
            if message['type'] == 'http.response.start':
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._refusal(scope)
        await (answer or self._application)(scope, receive, send_safely)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to who may not pass, or has to come again; None: it may pass."""
        headers = Headers(scope=scope)
        host = headers.get('host', '')
        if self._token:
            given = parse_qs(scope['query_string'].decode('latin-1')).get('token', [''])[0]
            if given and self._is_token(given):
                # So that the token does not stay in the address, where others may read it.
                answer = RedirectResponse('/', status_code=303)
                answer.set_cookie(self._cookie, self._token, httponly=True, samesite='strict')
                return answer
            if not self._is_token(_cookie_of(headers.get('cookie', ''), self._cookie)):
                return PlainTextResponse(
                    'This page needs its token. Open the address that `dynamic-dnn view` printed '
                    'when it was started; it ends in ?token=...\n',
                    403,
                )
        elif not is_loopback(urlsplit(f'//{host}').hostname or ''):
            return PlainTextResponse(
                'This page is for this computer alone. Open it as http://localhost:PORT, or '
                'start `dynamic-dnn view --host ADDRESS`.\n',
                403,
            )
        # Browsers say from where a request comes. A link to the page may come from anywhere.
        if scope['path'] != '/' and headers.get('sec-fetch-site') in ('cross-site', 'same-site'):
            return PlainTextResponse('This has to come from the page itself.\n', 403)
        if scope['method'] != 'GET':
            origin = headers.get('origin')
            if origin is not None and urlsplit(origin).netloc != host:
                return PlainTextResponse('This has to come from the page itself.\n', 403)
        return None

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())


def _cookie_of(header: str, name: str) -> str:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ''
    return morsel.value if morsel is not None else ''
