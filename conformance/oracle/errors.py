"""What goes wrong, and the classes that errors have in the files."""

import errno
import socket
import ssl


class Stuck(Exception):
    """A step that cannot be finished."""


class Failure(Exception):
    """What a callback raises because the scenario says so."""


def error_class(error):
    if error is None:
        return "none"
    kinds = [
        (ConnectionResetError, "reset"),
        (BrokenPipeError, "broken-pipe"),
        (ConnectionRefusedError, "refused"),
        (ConnectionAbortedError, "aborted"),
        (TimeoutError, "timed-out"),
        (ssl.SSLError, "tls"),
        (PermissionError, "permission-denied"),
        (FileNotFoundError, "not-found"),
        (Failure, "callback-failed"),
        (ValueError, "invalid"),
    ]
    for kind, name in kinds:
        if isinstance(error, kind):
            return name
    numbers = {
        errno.ENOTCONN: "not-connected",
        errno.EADDRINUSE: "addr-in-use",
        errno.EADDRNOTAVAIL: "addr-not-available",
        errno.ENETUNREACH: "unreachable",
        errno.EHOSTUNREACH: "unreachable",
        errno.EMFILE: "descriptor-limit",
        errno.ENOMEM: "out-of-memory",
        errno.EMSGSIZE: "too-long",
        errno.EINVAL: "invalid",
        errno.EAFNOSUPPORT: "unsupported",
        socket.EAI_ADDRFAMILY: "unsupported",
    }
    if isinstance(error, OSError) and error.errno in numbers:
        return numbers[error.errno]
    if isinstance(error, RuntimeError) and "empty buffer" in str(error):
        return "invalid"
    return "other"
