"""A host of several addresses, and who is at each. The counterpart of src/scenario/race.rs."""

import socket
import sys

HOST = "scenario.example"


def can():
    """What asyncio can do of it here; uvloop looks names up by itself."""
    able = {"resolver"}
    if sys.version_info >= (3, 12):
        able.add("all-errors")
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
        able.add("ipv6")
    except OSError:
        pass
    return able


class Race:
    """The sockets at the addresses, and what the name leads to. Each address has a port of its own: asyncio takes what getaddrinfo says."""

    def __init__(self, link):
        self.link = link
        self.listener = None
        self.kept = []
        self.addresses = []

    def prepare(self, loop):
        for family, who, *_ in self.link["to"]:
            family, here = (socket.AF_INET6, "::1") if family == "v6" else (socket.AF_INET, "127.0.0.1")
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.bind((here, 0))
            self.addresses.append((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", sock.getsockname()))
            if who in ("peer", "other"):
                sock.listen(16)
            elif who == "silent":
                # One connection fits into its queue, and nobody takes it out: further requests are dropped.
                sock.listen(0)
                first = socket.socket(family, socket.SOCK_STREAM)
                first.connect(sock.getsockname())
                self.kept.append(first)
            if who == "peer":
                sock.setblocking(False)
                self.listener = sock
            else:
                self.kept.append(sock)
        loop.getaddrinfo = self.look_up

    async def look_up(self, host, port, **_):
        if host != HOST:
            raise socket.gaierror(socket.EAI_NONAME, "there is no such host")
        return self.addresses

    def options(self, needs):
        """How create_connection is called."""
        options = {"host": HOST, "port": 80}
        if "stagger" in self.link:
            options["happy_eyeballs_delay"] = self.link["stagger"] / 1000
        if "interleave" in self.link:
            options["interleave"] = self.link["interleave"]
        if "local" in self.link:
            options["local_addr"] = (self.link["local"], 0)
        if "all-errors" in needs:
            options["all_errors"] = True
        return options


def attempts(error):
    """Each attempt's error, if the loop named them; and the last one's."""
    each = list(getattr(error, "exceptions", []))
    return each, each[-1] if each else error
