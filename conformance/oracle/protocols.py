"""The connections of a scenario and their protocols, which note every callback and do what the file says."""

import asyncio

import datagrams
from errors import Failure, error_class


class Live:
    """A connection of the scenario's."""

    def __init__(self, index, name, behaviour):
        self.index = index
        self.name = name
        self.behaviour = behaviour
        self.app = f"app.{name}" if name else "app"
        self.peer_lane = f"peer.{name}" if name else "peer"
        self.transport = None
        self.peer = None
        self.ends = None
        self.filled = 0
        self.lost = False
        self.made = False
        # The application has closed it.
        self.closed = False
        self.paused = False
        self.write_eof = False
        self.opening = None
        # The one that it was given last: the loop lends its place to another while it sends a file over TLS.
        self.protocol = None
        # The last that it was to send.
        self.file = None
        self.calls = {}


class Callbacks:
    """What both kinds of protocols have in common."""

    def __init__(self, player, live, name=None):
        self.player = player
        self.live = live
        self.name = name
        self.behaviour = player.protocols[name] if name else live.behaviour

    def called(self, word, *args):
        live = self.live
        full = f"{self.name}.{word}" if self.name else word
        self.player.record.push(live.app, [full, *args])
        count = live.calls[full] = live.calls.get(full, 0) + 1
        reaction = self.behaviour.get("on", {}).get(word)
        if reaction is None:
            return
        if isinstance(reaction, list):
            reaction = {"first": reaction}
        commands = list(reaction.get("first", [])) if count == 1 else []
        for command in commands + list(reaction.get("each", [])):
            if command[0] in ("fail", "raise"):
                raise Failure("the scenario says so")
            self.player.perform(command, live)

    def connection_made(self, transport):
        self.live.transport = transport
        self.live.protocol = self
        self.live.made = True
        self.called("cm")

    def eof_received(self):
        if self.live.closed and self.player.security.is_one_of_many:
            # The answer to our closing word (DIS-41): the area `tls` shows it.
            return False
        self.called("eof")
        return self.behaviour.get("eof") == "keep-open"

    def pause_writing(self):
        self.live.paused = True
        self.called("pause")

    def resume_writing(self):
        self.live.paused = False
        self.called("resume")

    def connection_lost(self, error):
        self.live.lost = True
        self.called("lost", error_class(error))


class Streaming(Callbacks, asyncio.Protocol):
    def data_received(self, data):
        self.called("data", bytes(data))


class Buffered(Callbacks, asyncio.BufferedProtocol):
    def __init__(self, *args):
        super().__init__(*args)
        self.memory = bytearray(self.behaviour["buffer"])

    def get_buffer(self, sizehint):
        reaction = self.behaviour.get("on", {}).get("gb")
        if reaction and not self.live.calls.get("gb"):
            self.live.calls["gb"] = 1
            raise Failure("the scenario says so")
        self.memory[:] = b"\xee" * len(self.memory)
        return self.memory

    def buffer_updated(self, n):
        if any(byte != 0xEE for byte in self.memory[n:]):
            self.player.record.push(self.live.app, ["answered", "get_buffer", "touched"])
        self.called("bu", bytes(self.memory[:n]))


Datagram = datagrams.protocol(Callbacks)
