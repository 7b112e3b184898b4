"""Commands of the application. The counterpart of src/scenario/perform.rs."""

import errno
import socket
import time

import children
import pipes
import secure
from errors import Failure, Stuck
from lanes import event_pattern


def size_of(transport):
    """What a transport holds; those that only read hold nothing."""
    try:
        return transport.get_write_buffer_size()
    except (AttributeError, NotImplementedError):
        return 0


class Commands:
    """The part of a player that carries out what the application does."""

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
            elif isinstance(error, RuntimeError) and "sendfile is in progress" in str(error):
                answer = "Busy"
            elif isinstance(error, RuntimeError) and "sendfile is not supported" in str(error):
                answer = "Unsupported"
            elif isinstance(error, RuntimeError) and ("is closed" in str(error) or "is closing" in str(error)):
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
        if verb == "sendfile":
            return self.sendfile(live, self.payload(args[0]), args[1])
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
            live.protocol = self.protocol(live, args[0])
            transport.set_protocol(live.protocol)
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
        if what == "file":
            return [live.file.tell()]
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
