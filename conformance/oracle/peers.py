"""The other end of a connection, and how it is known that nothing happens any more."""

import asyncio
import fcntl
import socket
import struct
import termios

import secure
from commands import size_of
from errors import Stuck
from lanes import event_pattern

QUIET = 5
GULP = 16 * 1024
SIOCOUTQ = getattr(termios, "TIOCOUTQ", 0x5411)


def asked(peer, request):
    """A number that the kernel knows of a peer's descriptor."""
    try:
        return struct.unpack("i", fcntl.ioctl(peer, request, b"\0" * 4))[0] if peer else 0
    except (OSError, ValueError):
        # Pipes do not tell everything, and what is closed tells nothing.
        return 0


class Peers:
    """The part of a player that plays the peer."""

    async def fill(self, live, size):
        transport = live.transport
        for _ in range(1000):
            held = transport.get_write_buffer_size()
            if held >= size or transport.is_closing():
                return
            data = event_pattern(live.filled, size - held)
            live.filled += len(data)
            self.record.streams(live.name)["written"] += data
            transport.write(data)
            await self.settle()
        raise Stuck

    def read(self, live, most):
        """Reads once, and notes what it saw: how many bytes, or None at the end."""
        try:
            data = live.peer.recv(most)
        except BlockingIOError:
            return 0
        except OSError:
            self.record.push(live.peer_lane, ["reset"])
            return None
        if not data:
            self.record.push(live.peer_lane, [getattr(live.peer, "end", None) or "eof"])
            return None
        self.record.push(live.peer_lane, ["data", data])
        return len(data)

    async def peer(self, live, verb, args):
        if self.race and live.peer is None:
            # The peer's address may be the last to be tried: it is looked for when it is needed.
            await self.meets(live)
        if isinstance(live.peer, secure.Peer) and verb not in ("connect", "reset", "start_tls", "drain-until"):
            await self.until(lambda: not live.peer.is_shaking_hands())
        if verb == "start_tls":
            live.peer = self.security.upgraded(live.peer)
        elif verb == "truncate":
            live.peer.truncate()
        elif verb == "go":
            self.children.go()
        elif verb == "connect":
            self.connect_peer(live)
            await asyncio.sleep(0)
        elif verb == "send":
            left = self.payload(args[0])
            self.record.streams(live.name)["sent"] += left

            def sent():
                nonlocal left
                try:
                    left = left[live.peer.send(left):]
                except BlockingIOError:
                    pass
                except OSError:
                    left = b""
                return not left

            await self.until(sent)
        elif verb == "recv":
            left_over = args[0]

            def received():
                nonlocal left_over
                n = self.read(live, left_over)
                left_over -= left_over if n is None else n
                return left_over == 0

            await self.until(received)
        elif verb == "recv-eof":

            def ended():
                while (n := self.read(live, GULP)) is not None:
                    if n == 0:
                        return False
                return True

            await self.until(ended)
        elif verb == "drain-until":
            await self.until(lambda: live.transport.get_write_buffer_size() <= args[0] or self.read(live, GULP) is None)
        elif verb == "eof":
            try:
                live.peer.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        else:
            if verb == "reset":
                live.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            live.peer.drop() if verb == "reset" and isinstance(live.peer, secure.Peer) else live.peer.close()
            live.peer = None

    def volume(self):
        sizes = [size_of(live.transport) if live.made and not live.lost else 0 for live in self.lives]
        queues = [asked(live.peer, termios.FIONREAD) + len(getattr(live.peer, "plain", b"")) for live in self.lives]
        return self.record.volume(), sizes, queues

    def is_under_way(self):
        return any(asked(live.peer, SIOCOUTQ) for live in self.lives)

    async def settle(self):
        quiet, before = 0, self.volume()
        for n in range(1000):
            await asyncio.sleep(0 if quiet < 3 else 0.001)
            self.pump()
            now = self.volume()
            quiet = quiet + 1 if now == before else 0
            before = now
            if quiet >= QUIET and (n >= 25 or not self.is_under_way()):
                return
