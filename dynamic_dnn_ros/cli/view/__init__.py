# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`dynamic-dnn view`: what runs on this robot now, as a live page in the browser."""

from __future__ import annotations

import argparse
import socket

from dynamic_dnn_ros.cli.target import add_connection

DEFAULT_HOST = '127.0.0.1'
DEFAULT_PORT = 8050

EXAMPLES = """\
examples:
  dynamic-dnn view                      the page for this computer: http://127.0.0.1:8050
  dynamic-dnn view --host 0.0.0.0       for the network too, with a token in the address
  dynamic-dnn view --port 0             on any port that is free
  ssh -t -L 8050:localhost:8050 ROBOT dynamic-dnn view
                                        the robot's page on your laptop, encrypted
"""


class ViewError(RuntimeError):
    """The page cannot be served. The text says why, and what to do."""


ERRORS = (ViewError,)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    add_connection(parser)
    parser.add_argument(
        '--host',
        default=DEFAULT_HOST,
        help='address to listen on; others than this computer need a token then; '
        'default: %(default)s, this computer alone',
    )
    parser.add_argument(
        '--port',
        type=_port,
        default=DEFAULT_PORT,
        help='0: one that is free; default: %(default)s',
    )


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'{text!r} is no port. Give 0 to 65535.')
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """
    Serve the page until Ctrl-C.

    :raises ViewError: when the address cannot be listened on
    """
    from dynamic_dnn_ros.cli.view.access import is_loopback, new_token
    from dynamic_dnn_ros.cli.view.server import page_application, server_of
    from dynamic_dnn_ros.cli.view.session import Session

    with listen(arguments.host, arguments.port) as listener:
        port = listener.getsockname()[1]
        token = '' if is_loopback(arguments.host) else new_token()
        session = Session(arguments.namespace, arguments.timeout)
        application = page_application(session, token, f'dynamic_dnn_view_{port}')
        for line in announcement(arguments.host, port, token):
            print(line, flush=True)
        try:
            server_of(application).run(sockets=[listener])
        except KeyboardInterrupt:
            pass  # how looking ends
        finally:
            session.close()
    return 0


def listen(host: str, port: int) -> socket.socket:
    """
    Return a socket that listens.

    :raises ViewError: when the address is none, or is taken
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(64)
    except OSError as error:
        raise ViewError(
            f'cannot listen on {host} port {port}: {error.strerror or error}. Give an address of '
            'this computer with --host, and a port that is free with --port (0 finds one).'
        ) from error
    return listener


def announcement(host: str, port: int, token: str) -> list[str]:
    """Return what is said at the start: where the page is, and who may see it."""
    if not token:
        shown = f'[{host}]' if ':' in host else host
        return [f'Open http://{shown}:{port}/ in a browser. Ctrl-C ends it.']
    name = socket.gethostname() if host in ('0.0.0.0', '::') else host
    shown = f'[{name}]' if ':' in name else name
    return [
        f'Open http://{shown}:{port}/?token={token} in a browser. Ctrl-C ends it.',
        'Whoever has this address sees the pictures and may set targets. What is sent is not '
        'encrypted; through a network of others, take ssh -L instead (see --help).',
    ]
