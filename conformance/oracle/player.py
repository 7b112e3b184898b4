"""Plays one scenario on an asyncio event loop, with both ends in one thread. The counterpart of src/scenario/play.rs."""

import asyncio
import errno
import fcntl
import gc
import logging
import os
import resource
import socket
import ssl
import stat
import struct
import tempfile
import termios
import threading
import time
import warnings

import children
import datagrams
import pipes
import races
import secure
from lanes import Record, event_pattern

CAN = {"reset", "half-close", "threads", "clock", "fd-limit"} | ({"clients", "cleanup"} if hasattr(asyncio.Server, "close_clients") else set()) | races.can()
# How long a step may take.
DEADLINE = 10 * float(os.environ.get("PLIMSOLL_TIME_SCALE", "1") or 1)
# A departure in which the loop gets stuck is not waited for so long.
IMPATIENCE = 0.5 * float(os.environ.get("PLIMSOLL_TIME_SCALE", "1") or 1)
QUIET = 5
GULP = 16 * 1024
SIOCOUTQ = getattr(termios, "TIOCOUTQ", 0x5411)


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


def size_of(transport):
    """What a transport holds; those that only read hold nothing."""
    try:
        return transport.get_write_buffer_size()
    except (AttributeError, NotImplementedError):
        return 0


def asked(peer, request):
    """A number that the kernel knows of a peer's descriptor."""
    try:
        return struct.unpack("i", fcntl.ioctl(peer, request, b"\0" * 4))[0] if peer else 0
    except (OSError, ValueError):
        # Pipes do not tell everything, and what is closed tells nothing.
        return 0


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


class Player:
    error_class = staticmethod(error_class)

    def __init__(self, scenario, kind, who, patience=DEADLINE):
        self.scenario = scenario
        self.family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
        self.kind = kind
        self.is_pipe = kind in ("read-pipe", "write-pipe")
        self.children = children.Children(self) if kind == "process" else None
        self.datagrams = datagrams.Datagrams(self) if kind in ("udp", "unix-datagram") else None
        self.security = secure.Security(scenario["link"], kind, scenario["id"].startswith("tls/"))
        self.folder = None
        self.files = 0
        self.record = Record()
        self.protocols = scenario.get("protocol", {})
        self.link = scenario["link"]
        self.by = self.link.get("by", "accept")
        self.race = races.Race(self.link) if "to" in self.link else None
        self.needs = scenario.get("needs", [])
        app = scenario.get("app", {})
        names = [""] + list(children.NAMES if self.children else self.link.get("also", []))
        self.lives = [Live(n, name, app.get(name, {}) if name else app) for n, name in enumerate(names)]
        self.server = None
        self.timers = {}
        self.tasks = []
        self.hook = []
        self.accepted = 0
        self.address = None
        self.listener = None
        self.kept = []
        self.threads = []
        self.spare = []
        self.limit = None
        departures = scenario.get("departs", {}).get(who, [])
        departures = departures if isinstance(departures, list) else [departures]
        departures = [departure for departure in departures if kind in departure.get("kinds", [kind])]
        stuck = any("host" in departure["expect"] for departure in departures)
        self.patience = IMPATIENCE if stuck else patience
        self.may_crash = any("crashed" in departure["expect"].get("host", []) for departure in departures)

    # ---- the whole ----

    def run(self, new_loop):
        can = CAN - {"clients", "cleanup", "clock", "resolver", "all-errors"} if new_loop.__module__.startswith("uvloop") else CAN
        missing = [need for need in self.scenario.get("needs", []) if need not in can]
        if missing:
            return {"status": "skipped", "why": f"it has no `{missing[0]}`"}
        if self.security.hides_sizes(self.scenario):
            return {"status": "skipped", "why": "over TLS its sizes and marks are those of another layer (DIS-43)"}
        handler = self.listen_to_logs()
        before = len(os.listdir("/proc/self/fd"))
        loop = new_loop()
        if "clock" in self.scenario.get("needs", []):
            # Time that is advanced by hand goes on by itself too.
            own, self.offset = loop.time, 0
            loop.time = lambda: own() + self.offset
        try:
            loop.set_exception_handler(self.on_error)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loop.run_until_complete(self.all(loop))
                loop.close()
                self.lives = None
                gc.collect()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is told
            return {"status": "broken", "why": f"{type(error).__name__}: {error}"}
        finally:
            self.free()
            logging.getLogger("asyncio").removeHandler(handler)
            if not loop.is_closed():
                loop.close()
        left = len(os.listdir("/proc/self/fd")) - before
        if left:
            self.result["lanes"].setdefault("host", []).append(["leaked", left])
        return {"status": "played", **self.result}

    def listen_to_logs(self):
        player = self

        class Handler(logging.Handler):
            def emit(self, record):
                if "has no effect when using ssl" in record.getMessage():
                    player.hook.append(["report", "half-close"])
                if "send() raised exception" in record.getMessage() or "os.write(pipe, data) raised exception" in record.getMessage():
                    player.hook.append(["report", "discarded"])

        handler = Handler()
        logger = logging.getLogger("asyncio")
        logger.addHandler(handler)
        logger.propagate = False
        return handler

    def on_error(self, loop, context):
        error = context.get("exception")
        if isinstance(error, Failure) or error is not None and error_class(error) == "invalid":
            kind = "failed"
        elif context.get("message") == "the scenario says so":
            kind = "application"
        elif "accept() out of system resource" in context.get("message", ""):
            kind = "accept"
        else:
            kind = "other"
        self.hook.append(["report", kind])

    async def all(self, loop):
        self.loop = loop
        self.base = len(os.listdir("/proc/self/fd"))
        try:
            await self.open()
        except Stuck:
            raise RuntimeError("the link could not be opened") from None
        for index, step in enumerate(self.scenario["steps"]):
            self.record.step(*step)
            try:
                await self.step(step)
            except Stuck:
                self.record.push("host", ["stuck", "step", index + 1])
                break
        else:
            await self.settle()
        for event in self.hook:
            self.record.push("hook", event)
        self.result = self.record.result()
        await self.end()

    async def end(self):
        for live in self.lives:
            if live.peer:
                live.peer.close()
        for task in self.tasks:
            task.cancel()
        if self.children:
            self.children.close()
        for live in self.lives[:1] if self.children else self.lives:
            if live.transport and not live.lost:
                try:
                    live.transport.close() if self.kind in ("read-pipe", "process") else live.transport.abort()
                except Exception:  # noqa: BLE001 - CPython forgets its loop when it is lost
                    pass
        if self.server:
            self.server.close()
        for thread in self.threads:
            thread.join()
        self.free()
        for thing in [self.listener, *self.kept, *(self.race.kept if self.race else [])]:
            if thing:
                thing.close()
        if self.folder:
            self.folder.cleanup()
        for live in self.lives:
            live.peer = None
        for _ in range(20):
            await asyncio.sleep(0)
        # A child takes its time to die.
        while self.children and self.lives[0].made and not self.lives[0].lost:
            await asyncio.sleep(0.001)
        # uvloop closes descriptors only when libuv says so.
        for _ in range(10):
            if len(os.listdir("/proc/self/fd")) <= self.base:
                break
            await asyncio.sleep(0.005)
        if self.tasks:
            await asyncio.gather(*self.tasks, return_exceptions=True)

    async def until(self, reached, poll=0.0005):
        deadline = time.monotonic() + self.patience
        spins = 0
        self.pump()
        while not reached():
            if time.monotonic() > deadline:
                raise Stuck
            spins += 1
            await asyncio.sleep(0 if spins < 50 else poll)
            self.pump()

    def pump(self):
        """Lets the TLS of the other ends do what it has to."""
        for live in self.lives:
            if isinstance(live.peer, secure.Peer):
                live.peer.pump(secure.goes_ahead(live))

    # ---- opening ----

    def buffers(self, sock):
        for key, option in (("sndbuf", socket.SO_SNDBUF), ("rcvbuf", socket.SO_RCVBUF)):
            if key in self.link:
                sock.setsockopt(socket.SOL_SOCKET, option, self.link[key])

    def bound(self):
        sock = socket.socket(self.family, socket.SOCK_STREAM)
        self.buffers(sock)
        sock.bind(("127.0.0.1", 0) if self.family == socket.AF_INET else self.place())
        return sock

    def place(self):
        """A path for a Unix socket."""
        self.folder = self.folder or tempfile.TemporaryDirectory(prefix="plimsoll-")
        self.files += 1
        return os.path.join(self.folder.name, str(self.files))

    def nodelay(self, sock):
        if self.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def silent(self):
        """One connection fits into its queue, and nobody takes it out: further requests are dropped."""
        sock, first = self.bound(), socket.socket(self.family, socket.SOCK_STREAM)
        sock.listen(0)
        first.connect(sock.getsockname())
        self.kept += [sock, first]
        return sock.getsockname()

    async def open(self):
        # Who else is there, listens and accepts.
        listens = not self.is_pipe and not self.children and not self.datagrams
        if self.datagrams:
            self.datagrams.prepare()
        elif self.race:
            self.race.prepare(self.loop)
            self.listener = self.race.listener
        elif self.by == "connect":
            there = self.link.get("listener")
            if there == "silent":
                self.address = self.silent()
            else:
                sock = self.bound()
                self.address = sock.getsockname()
                if there == "nobody":
                    self.kept.append(sock)
                else:
                    sock.listen(16)
                    sock.setblocking(False)
                    self.listener = sock
        if self.link.get("at") == "abstract":
            self.address = "\0" + self.place()
        elif "lies" in self.link:
            self.address = self.place()
            self.put(self.link["lies"])
        if self.by in ("accept", "server") and self.link.get("open") != "steps" and listens:
            await self.listen()
        if self.by == "server" or self.link.get("open") == "steps":
            return
        for live in self.lives[:1] if self.children else self.lives:
            if self.by == "accept" and listens:
                self.connect_peer(live)
                await self.until(lambda: live.made)
            else:
                await self.connect(live)
        if self.server and self.by == "accept":
            self.server.close()
            await asyncio.sleep(0)

    def put(self, what):
        """Puts something where the server listens, or is to listen."""
        if os.path.lexists(self.address):
            os.unlink(self.address)
        if what == "socket":
            with socket.socket(self.family, socket.SOCK_STREAM) as sock:
                sock.bind(self.address)
        else:
            with open(self.address, "wb"):
                pass

    def lies(self):
        if not os.path.lexists(self.address):
            return "none"
        return "socket" if stat.S_ISSOCK(os.lstat(self.address).st_mode) else "file"

    async def listen(self):
        link = self.link
        told = link.get("open") == "steps" or self.address is not None
        more = {key: link[key] for key in ("backlog", "reuse_port") if key in link}
        if "cleanup" in link:
            more["cleanup_socket"] = link["cleanup"]
        try:
            if "sndbuf" in link or "rcvbuf" in link:
                servers = [{"sock": self.bound()}]
            elif self.family == socket.AF_UNIX:
                servers = [{"path": self.address or self.place()}]
            elif self.address:
                servers = [{"host": self.address[0], "port": self.address[1]}]
            else:
                on = link.get("on", ["127.0.0.1"])
                if "taken" in on:
                    sock = self.bound()
                    sock.listen(1)
                    self.kept.append(sock)
                    # One call has one port: all of them are to be had there but this.
                    where = {"host": list(dict.fromkeys(ip for ip in on if ip != "taken")) + ["127.0.0.1"], "port": sock.getsockname()[1]}
                    servers = [where]
                else:
                    servers = [{"host": on, "port": 0}]
            create = self.loop.create_server if self.family == socket.AF_INET else self.loop.create_unix_server
            self.server = await create(self.factory, start_serving=link.get("start", True), **servers[0], **more, **self.security.options())
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the class of it is what counts
            if not told:
                raise
            self.record.push("server", ["listening", error_class(error)])
            return
        if told:
            self.record.push("server", ["listening", "ok"])
        # In any order: asyncio keeps them in a set.
        self.address = next(sock.getsockname() for sock in self.server.sockets if sock.family == self.family)

    def factory(self):
        index = self.accepted
        self.accepted += 1
        if self.by == "server":
            self.record.push("server", ["factory"])
        if index >= len(self.lives):
            raise Failure("no such connection")
        live = self.lives[index]
        if live.behaviour.get("factory") == "raise":
            raise Failure("the scenario says so")
        return self.protocol(live)

    def protocol(self, live, name=None):
        behaviour = self.protocols[name] if name else live.behaviour
        if self.datagrams:
            return Datagram(self, live, name)
        return (Buffered if "buffer" in behaviour else Streaming)(self, live, name)

    def connect_peer(self, live):
        if not self.address:
            raise Stuck
        if self.limit:
            sock = self.spare.pop()
        else:
            sock = socket.socket(self.family, socket.SOCK_STREAM)
            self.buffers(sock)
        try:
            sock.connect(self.address)
        except (ConnectionRefusedError, FileNotFoundError):
            sock.close()
            self.record.push(live.peer_lane, ["refused"])
            return
        sock.setblocking(False)
        self.nodelay(sock)
        live.peer = self.security.peer(sock)
        live.ends = (sock.getpeername(), sock.getsockname())

    def given(self, live):
        """What is given to the loop; it is blocking, as it would come from elsewhere."""
        what = self.link.get("socket", "connected")
        if what == "datagram":
            return socket.socket(self.family, socket.SOCK_DGRAM)
        if what in ("listening", "bound"):
            sock = self.bound()
            if what == "listening":
                sock.listen(1)
            return sock
        sock = socket.socket(self.family, socket.SOCK_STREAM)
        self.buffers(sock)
        if what == "connected":
            listening = self.bound()
            listening.listen(1)
            sock.connect(listening.getsockname())
            live.peer, _ = listening.accept()
            listening.close()
            live.peer.setblocking(False)
            self.nodelay(live.peer)
            live.ends = (live.peer.getpeername(), live.peer.getsockname())
            live.peer = self.security.peer(live.peer)
        return sock

    def client(self, *args, **more):
        create = self.loop.create_connection if self.family == socket.AF_INET else self.loop.create_unix_connection
        return create(*args, **more, **self.security.options())

    async def make(self, live):
        """Opens the connection, as the link has it."""

        def factory():
            return self.protocol(live)

        if self.children:
            callbacks = [Callbacks(self, live) for live in self.lives]
            await self.children.start(lambda: children.protocol(callbacks, error_class))
        elif self.is_pipe:
            pipe, live.peer = pipes.pair(self.kind, self.link.get("through", "pipe"), self.place)
            self.kept.append(pipe)
            connect = self.loop.connect_read_pipe if self.kind == "read-pipe" else self.loop.connect_write_pipe
            await connect(factory, pipe)
            self.kept.remove(pipe)
        elif self.datagrams:
            await self.datagrams.open(live, factory)
        elif self.by == "adopt":
            sock = self.given(live)
            # It is the loop's only where it works.
            self.kept.append(sock)
            if self.link.get("role") == "accepted":
                await self.loop.connect_accepted_socket(factory, sock, **self.security.options())
            else:
                await self.client(factory, sock=sock)
            self.kept.remove(sock)
        elif "sndbuf" in self.link or "rcvbuf" in self.link:
            sock = socket.socket(self.family, socket.SOCK_STREAM)
            self.buffers(sock)
            sock.setblocking(False)
            await self.loop.sock_connect(sock, self.address)
            await self.client(factory, sock=sock)
        elif self.family == socket.AF_UNIX:
            await self.client(factory, self.address)
        elif self.race:
            await self.loop.create_connection(factory, **self.race.options(self.needs))
        else:
            local = {"local_addr": (self.link["local"], 0)} if "local" in self.link else {}
            await self.client(factory, *self.address, **local)

    def begin(self, live):
        async def opening():
            try:
                await self.make(live)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the class of it is what counts
                live.lost = True
                each, last = races.attempts(error)
                for attempt in each:
                    self.record.push(live.app, ["attempt", error_class(attempt)])
                self.record.push(live.app, ["done", error_class(last)])
            else:
                if self.by != "accept" or self.children:
                    self.record.push(live.app, ["done", "ok"])

        live.opening = self.loop.create_task(opening())
        self.tasks.append(live.opening)

    async def connect(self, live):
        self.begin(live)
        await asyncio.sleep(0)
        if not self.link.get("listener") and not (self.race and (self.link.get("open") == "steps" or self.listener is None)):
            await self.meets(live)
        if self.link.get("open") != "steps":
            await self.until(live.opening.done)

    async def meets(self, live):
        def accepted():
            if live.opening.cancelled():
                return True
            if live.peer is None:
                try:
                    live.peer, _ = self.listener.accept()
                except OSError:
                    # Nobody yet, or no descriptor.
                    return live.lost
                live.peer.setblocking(False)
                live.ends = (live.peer.getpeername(), live.peer.getsockname())
                live.peer = self.security.peer(live.peer)
            return True

        if self.by == "connect" and not self.datagrams:
            await self.until(accepted)

    # ---- commands of the application ----

    def live_of(self, actor):
        name = actor.partition(".")[2]
        return next(live for live in self.lives if live.name == name)

    def perform(self, command, own=None):
        command = list(command)
        kind = command[0].partition(".")[0]
        actor = command.pop(0) if kind in ("app", "peer", "server", "loop", "host", "clock") else own.app
        verb, *args = command
        answers = None
        if args and isinstance(args[-1], dict) and "answers" in args[-1]:
            answers = args.pop()["answers"]
        kind = actor.partition(".")[0]
        lane = actor
        try:
            if kind == "app":
                answer = self.of_connection(self.live_of(actor), verb, args)
            elif kind == "server":
                answer = self.of_server(verb, args)
            else:
                answer = self.of_loop(verb, args)
        except (Failure, Stuck):
            raise
        except ValueError:
            answer = "InvalidInput"
            if answers is None:
                self.record.push(lane, ["raised", verb, answer])
        except Exception as error:  # noqa: BLE001 - what it raises is what is recorded
            if isinstance(error, RuntimeError) and "write_eof" in str(error):
                answer = "WriteAfterEof"
            elif isinstance(error, RuntimeError) and "is closed" in str(error):
                answer = "Closed"
            elif isinstance(error, ProcessLookupError):
                answer = "ProcessGone"
            elif isinstance(error, OSError) and error.errno == errno.EINVAL:
                answer = "InvalidInput"
            elif isinstance(error, AttributeError) and (self.is_pipe or self.children) or isinstance(error, NotImplementedError):
                answer = "Unsupported"
            else:
                answer = type(error).__name__
                self.record.push(lane, ["raised", verb, answer])
                return
        if answers is not None and answer is not None and answers != answer:
            self.record.push(lane, ["answered", verb, answer])

    def payload(self, value):
        return value.encode() if isinstance(value, str) else event_pattern(0, value["pattern"])

    def of_connection(self, live, verb, args):
        if verb == "open":
            self.begin(live)
            return None
        if verb == "start_tls":
            return self.start_tls(live, self.payload(args[0]))
        if verb == "cancel":
            live.opening.cancel()
            return None
        if verb == "probe" and args[0] == "made":
            self.record.push(live.app, ["probe", "made", live.made])
            return None
        transport = live.transport
        if transport is None:
            return "not open"
        if verb in ("kill", "terminate", "signal"):
            getattr(transport, "send_signal" if verb == "signal" else verb)(*args)
            return "Done"
        if verb in ("send", "send_to"):
            return self.datagrams.send(live, transport, self.payload(args[0]), args[1] if verb == "send_to" else None)
        if verb in ("write", "write_spoilt"):
            return self.write(live, transport, [self.payload(args[0])], verb)
        if verb == "writelines":
            lines = args[0]
            if isinstance(lines, dict):
                of = lines["of"]
                lines = [event_pattern(n * of, of) for n in range(lines["pieces"])]
            else:
                lines = [self.payload(line) for line in lines]
            return self.write(live, transport, lines, verb)
        if verb == "limits":
            size = transport.get_write_buffer_size()
            marks = {key: size + mark["size"] if isinstance(mark, dict) else mark for key, mark in args[0].items()}
            transport.set_write_buffer_limits(**marks)
            return "Paused" if live.paused else "Accepted"
        if verb == "set_protocol":
            transport.set_protocol(self.protocol(live, args[0]))
            return None
        if verb == "probe":
            self.record.push(live.app, ["probe", args[0], *self.probe(live, transport, args[0])])
            return None
        if verb == "write_eof":
            transport.write_eof()
            live.write_eof = True
            return "Done"
        live.closed |= verb == "close"
        getattr(transport, verb)()
        return None

    def write(self, live, transport, lines, verb):
        was_closing, before = transport.is_closing(), size_of(transport)
        streams = self.record.streams(live.name)
        start = len(streams["written"])
        # Before the call: asyncio calls pause_writing inside of it, which may write more.
        streams["written"] += b"".join(lines)
        taken = False
        try:
            if verb == "write":
                transport.write(lines[0])
            elif verb == "write_spoilt":
                memory = bytearray(lines[0])
                transport.write(memory)
                memory[:] = b"!" * len(memory)
            else:
                transport.writelines(lines)
            taken = not was_closing or size_of(transport) != before
        finally:
            if not taken:
                streams["written"] = streams["written"][:start]
        return "Discarded" if not taken else "Paused" if live.paused else "Accepted"

    def start_tls(self, live, leftover):
        if leftover:
            raise NotImplementedError("nobody takes what was received already")
        old = live.transport

        async def upgrade():
            try:
                new = await self.loop.start_tls(old, old.get_protocol(), **self.security.upgrade())
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the class of it is what counts
                self.record.push(live.app, ["done", error_class(error)])
            else:
                if new is None:
                    self.record.push(live.app, ["done", "none"])
                    return
                live.transport = new
                protocol = new.get_protocol()
                protocol.called("tls")

        self.tasks.append(self.loop.create_task(upgrade()))
        return "Done"

    def probe(self, live, transport, what):
        def named(address, own, word):
            return "none" if address is None else word if address == own else "other"

        ends = live.ends or (None, None)
        if self.children and live is self.lives[0]:
            return children.probe(transport, what)
        if what == "closing":
            return [transport.is_closing()]
        if what == "reading":
            return [transport.is_reading()]
        if what == "paused":
            return [live.paused]
        if what == "size":
            return [transport.get_write_buffer_size()]
        if what == "can_write_eof":
            return [transport.can_write_eof()]
        if what == "limits":
            return list(transport.get_write_buffer_limits())
        if what == "local_addr":
            return [named(transport.get_extra_info("sockname"), ends[0], "ours")]
        if what == "peer_addr":
            return [named(transport.get_extra_info("peername"), ends[1], "the peer's")]
        if what == "protocol":
            protocol = transport.get_protocol()
            return ["none" if protocol is None else protocol.name or "first"]
        if what == "pipe":
            return [pipes.kind_of(transport.get_extra_info("pipe"))]
        if what in ("tls", "alpn", "server_name", "cipher", "peer_certificate"):
            return secure.info(transport, what)
        sock = transport.get_extra_info("socket")
        return [bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))]

    def of_server(self, verb, args):
        server = self.server
        if verb == "probe" and args[0] == "file":
            self.record.push("server", ["probe", "file", self.lies()])
            return None
        if server is None:
            raise Stuck
        if verb == "start":
            self.tasks.append(self.loop.create_task(self.start_serving()))
            return None
        if verb == "wait_closed":

            async def wait():
                await server.wait_closed()
                self.record.push("server", ["closed"])

            self.tasks.append(self.loop.create_task(wait()))
        elif verb == "probe":
            answer = server.is_serving() if args[0] == "serving" else len(server.sockets)
            self.record.push("server", ["probe", args[0], answer])
        else:
            getattr(server, verb)()
        return None

    async def start_serving(self, answers="Done"):
        try:
            await self.server.start_serving()
        except Exception as error:  # noqa: BLE001 - what it raises is what is recorded
            answer = "Closed" if "is closed" in str(error) else type(error).__name__
            if answers != answer:
                self.record.push("server", ["answered", "start", answer])
        else:
            if answers != "Done":
                self.record.push("server", ["answered", "start", "Done"])

    def job(self, how, name):
        self.record.push("loop", [how, name])
        for command in self.scenario.get("job", {})[name]:
            if command[1] == "raise":
                raise Failure("the scenario says so")
            self.perform(command)

    def of_loop(self, verb, args):
        if verb == "call_soon":
            self.loop.call_soon(self.job, "soon", args[0])
        elif verb == "call_later":
            name, due = args[1], self.loop.time() + args[0] / 1000

            def fire():
                if self.loop.time() + time.get_clock_info("monotonic").resolution < due:
                    self.record.push("loop", ["early", name])
                self.job("timer", name)

            self.timers[name] = self.loop.call_at(due, fire)
        elif verb == "cancel":
            self.timers[args[0]].cancel()
        elif verb == "report":
            self.loop.call_exception_handler({"message": "the scenario says so"})
        return None

    # ---- steps ----

    async def step(self, step):
        actor, verb, *args = step
        kind = actor.partition(".")[0]
        if verb == "settle":
            await self.settle()
        elif verb == "wait":
            name, amount = (args[0], 1) if isinstance(args[0], str) else next(iter(args[0].items()))
            await self.until(lambda: self.record.amount(actor, name) >= amount)
        elif kind == "peer" and self.datagrams:
            await self.datagrams.peer(self.live_of(actor), verb, args)
        elif kind == "peer":
            await self.peer(self.live_of(actor), verb, args)
        elif verb == "open":
            await self.connect(self.live_of(actor))
        elif verb == "fill" and self.datagrams:
            await self.datagrams.fill(self.live_of(actor), args[0])
        elif verb == "fill":
            await self.fill(self.live_of(actor), args[0])
        elif verb == "turn":
            own = self.live_of(actor) if kind == "app" else None
            for command in args[0]:
                self.perform(command, own)
            await asyncio.sleep(0)
            if any(command[0] == "open" for command in args[0]) and not self.link.get("listener") and not self.race:
                await self.meets(own)
        elif verb == "start":
            answers = args[0]["answers"] if args else "Done"
            await self.start_serving(answers)
        elif verb == "threadsafe":
            self.spawn(args[0], 0).join()
        elif verb == "wake":
            self.threads.append(self.spawn(args[0], 0.02))
        elif verb == "flood":
            self.threads += [self.spawn([args[1]] * args[0], 0) for _ in range(4)]
        elif verb == "listen":
            await self.listen()
        elif verb == "limit-fds":
            self.limit_descriptors()
        elif verb == "free-fds":
            self.free()
        elif verb == "replace":
            self.put("file")
        elif verb == "advance":
            self.offset += args[0] / 1000
            await self.settle()
        else:
            self.perform(step)
            await asyncio.sleep(0)

    def spawn(self, jobs, after):
        def run():
            time.sleep(after)
            for name in jobs:
                self.loop.call_soon_threadsafe(self.job, "soon", name)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def limit_descriptors(self):
        self.spare = [socket.socket(self.family, socket.SOCK_STREAM) for _ in range(8)]
        for sock in self.spare:
            self.buffers(sock)
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        with open(os.devnull, "rb") as file:
            # The lowest free number is the first one that is not allowed.
            lowest = file.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, self.limit[1]))

    def free(self):
        if self.limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, self.limit)
        for sock in self.spare:
            sock.close()
        self.limit, self.spare = None, []

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

    # ---- the peer ----

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

    # ---- silence ----

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
