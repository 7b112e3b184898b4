"""How connections and servers come about. The counterpart of src/scenario/play/open.rs."""

import asyncio
import os
import socket
import stat
import tempfile

import children
import pipes
import races
from errors import Failure, Stuck, error_class
from protocols import Buffered, Callbacks, Datagram, Streaming


class Opening:
    """The part of a player that opens."""

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
