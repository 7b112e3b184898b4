"""Datagram endpoints and their other ends. The counterpart of src/scenario/stage_datagram.rs, mail_real.rs and play/datagrams.rs."""

import asyncio
import socket

from lanes import event_pattern

PIECE = 1000
# Nobody listens here: it is a port of the system's that has long been out of use.
NOBODY = ("127.0.0.1", 1)


def protocol(callbacks):
    """The class of protocols of datagram endpoints, with the callbacks that all have."""

    class Datagram(callbacks, asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.player.datagrams.has_name(self.live, transport)
            super().connection_made(transport)

        def datagram_received(self, data, address):
            sender = self.player.datagrams.sender(self.live, address, 1)
            self.called("dgram", bytes(data), sender)

        def error_received(self, error):
            self.called("err", self.player.error_class(error))

    return Datagram


class Datagrams:
    """What a scenario of datagrams needs beside the loop."""

    def __init__(self, player):
        self.player = player
        self.is_unix = player.kind == "unix-datagram"
        self.family = socket.AF_UNIX if self.is_unix else socket.AF_INET

    def bound(self):
        sock = socket.socket(self.family, socket.SOCK_DGRAM)
        sock.bind(self.player.place() if self.is_unix else ("127.0.0.1", 0))
        return sock

    def prepare(self):
        """The other ends, and what the endpoints are going to be made of."""
        player, link = self.player, self.player.link
        self.nobody = NOBODY
        if self.is_unix:
            # There is a file, and nobody has it open.
            sock = self.bound()
            self.nobody = sock.getsockname()
            sock.close()
        for live in player.lives:
            live.ours = None
            if player.by == "adopt" and link.get("socket", "connected") == "connected" and self.is_unix:
                live.ours, live.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
                live.ends = ("", "")
            elif link.get("listener") == "nobody":
                live.ends = (None, self.nobody)
            else:
                live.peer = self.bound()
                live.ends = (None, live.peer.getsockname())
            if live.peer:
                live.peer.setblocking(False)
            if player.by == "adopt" and not live.ours:
                live.ours = self.bound()
                if link.get("socket", "connected") == "connected":
                    live.ours.connect(live.ends[1])
            if live.ours:
                player.kept.append(live.ours)

    async def open(self, live, factory):
        player = self.player
        remote = {"remote_addr": live.ends[1]} if player.by == "connect" else {}
        if live.ours is None and self.is_unix and type(player.loop).__module__.startswith("uvloop"):
            # It makes no Unix sockets of datagrams, and takes those that there are.
            live.ours = self.bound()
            player.kept.append(live.ours)
            if remote:
                live.ours.connect(live.ends[1])
        if live.ours:
            await player.loop.create_datagram_endpoint(factory, sock=live.ours)
            # From now on it is the loop's.
            player.kept.remove(live.ours)
        elif self.is_unix:
            await player.loop.create_datagram_endpoint(factory, local_addr=player.place(), family=self.family, **remote)
        else:
            more = {"allow_broadcast": True} if player.link.get("broadcast") else {}
            await player.loop.create_datagram_endpoint(factory, local_addr=("127.0.0.1", 0), **remote, **more)

    def has_name(self, live, transport):
        if live.ends[0] is None:
            live.ends = (transport.get_extra_info("sockname"), live.ends[1])

    def sender(self, live, address, end):
        """By whom a datagram was sent, as the files call him: a peer for `end` 1, the application for 0."""
        for one in [live, *self.player.lives]:
            if one.ends[end] == (address or ""):
                return one.peer_lane if end else one.app
        return "other"

    def address(self, target):
        words = {"nobody": self.nobody, "port-zero": ("127.0.0.1", 0), "other-family": ("::1", 7)}
        return words[target] if target in words else self.player.live_of(target).ends[target.startswith("peer")]

    def send(self, live, transport, payload, to):
        """What came of it is worked out from what the transport shows."""
        was_closing = transport.is_closing()
        try:
            if to is None:
                transport.sendto(payload)
            else:
                transport.sendto(payload, self.address(to))
        except ValueError:
            return "AddressMismatch"
        return "Discarded" if was_closing else "Paused" if live.paused else "Accepted"

    async def fill(self, live, size):
        transport = live.transport
        to = [live.ends[1]] if self.player.by == "accept" else []
        for _ in range(10000):
            if transport.get_write_buffer_size() >= size or transport.is_closing():
                return
            transport.sendto(event_pattern(live.filled, PIECE), *to)
            live.filled += PIECE
        raise RuntimeError("the kernel takes everything")

    def receive(self, live):
        """Receives one; whether there was one."""
        try:
            data, address = live.peer.recvfrom(1 << 18)
        except OSError:
            return False
        self.player.record.push(live.peer_lane, ["dgram", data, self.sender(live, address, 0)])
        return True

    async def peer(self, live, verb, args):
        if verb in ("send", "send_to"):
            data, to = self.player.payload(args[0]), self.address(args[1] if verb == "send_to" else live.app)

            def sent():
                try:
                    live.peer.sendto(data, to) if to else live.peer.send(data)
                except BlockingIOError:
                    return False
                except OSError:
                    pass
                return True

            await self.player.until(sent)
        elif verb == "recv":
            left = args[0]

            def received():
                nonlocal left
                while left and self.receive(live):
                    left -= 1
                return left == 0

            await self.player.until(received)
        elif verb == "drain-until":

            def drained():
                # What is lost holds nothing any more, whatever it says.
                if live.lost or live.transport.get_write_buffer_size() <= args[0]:
                    return True
                while self.receive(live):
                    pass
                return False

            await self.player.until(drained)
        else:
            live.peer.close()
            live.peer = None
