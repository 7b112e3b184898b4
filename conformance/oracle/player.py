"""Plays one scenario on an asyncio event loop, with both ends in one thread. The counterpart of src/scenario/play.rs."""

import asyncio
import gc
import logging
import os
import resource
import socket
import threading
import time
import warnings

import children
import datagrams
import races
import secure
from commands import Commands
from errors import Failure, Stuck, error_class
from files import Files
from lanes import Record
from opening import Opening
from peers import Peers
from protocols import Live

CAN = {"reset", "half-close", "threads", "clock", "fd-limit", "sendfile"} | ({"clients", "cleanup"} if hasattr(asyncio.Server, "close_clients") else set()) | races.can()
# How long a step may take.
DEADLINE = 10 * float(os.environ.get("PLIMSOLL_TIME_SCALE", "1") or 1)
# A departure in which the loop gets stuck is not waited for so long.
IMPATIENCE = 0.5 * float(os.environ.get("PLIMSOLL_TIME_SCALE", "1") or 1)


class Player(Opening, Commands, Files, Peers):
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
        self.sent_files = []
        self.limit = None
        departures = scenario.get("departs", {}).get(who, [])
        departures = departures if isinstance(departures, list) else [departures]
        departures = [departure for departure in departures if kind in departure.get("kinds", [kind])]
        stuck = any("host" in departure["expect"] for departure in departures)
        self.patience = IMPATIENCE if stuck else patience
        self.may_crash = any("crashed" in departure["expect"].get("host", []) for departure in departures)

    def run(self, new_loop):
        can = CAN - {"clients", "cleanup", "clock", "resolver", "all-errors", "sendfile"} if new_loop.__module__.startswith("uvloop") else CAN
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
        for thing in [self.listener, *self.kept, *self.sent_files, *(self.race.kept if self.race else [])]:
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
