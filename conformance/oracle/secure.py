"""Secure connections: the contexts of the application's end, and the TLS of the other end. The counterpart of src/scenario/secure.rs."""

import fcntl
import functools
import json
import pathlib
import ssl
import struct
import termios

HERE = pathlib.Path(__file__).resolve().parent.parent / "tls"
NAME = "localhost"
RECORD = 16 * 1024
# Less than this fits into the buffers of any kernel.
LITTLE = 16 * 1024
ABOUT_SIZES = ('"pause"', '"fill"', '"drain-until"', '"Paused"', '"limits"', '"size"', '"paused"')


@functools.cache
def context(server, alpn, who):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    if server:
        made.load_cert_chain(HERE / f"{who}.pem", HERE / f"{who}.key")
        made.num_tickets = 0
    else:
        made.load_verify_locations(HERE / "known.pem")
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


class Security:
    """How the connections of a scenario are made secure."""

    def __init__(self, link, kind, area_is_tls):
        if kind == "tls":
            # The files are read while files can be opened.
            context(True, None, "known"), context(False, None, "known")
        self.own = link.get("tls", {})
        self.secure = kind == "tls"
        self.server = link.get("by", "accept") in ("accept", "server") or link.get("role") == "accepted" or link.get("socket") == "listening"
        self.manner = self.own.get("peer", "polite")
        # What loops do otherwise on every secure connection is shown once each, in the area `tls`.
        self.is_one_of_many = self.secure and not area_is_tls

    def hides_sizes(self, scenario):
        """Whether it is about sizes and marks, which are those of one of several layers here."""
        text = json.dumps([scenario.get(key) for key in ("app", "protocol", "job", "steps", "expect")])
        return self.is_one_of_many and any(word in text for word in ABOUT_SIZES)

    def options(self):
        """The arguments that make a connection of the application's secure from the beginning."""
        if not self.secure:
            return {}
        return {"ssl": context(self.server, self.alpn("alpn"), "known"), **self.limits(), **self.name()}

    def alpn(self, whose):
        return tuple(self.own.get(whose, ())) or None

    def name(self):
        return {} if self.server else {"server_hostname": self.own.get("name", NAME)}

    def limits(self):
        return {f"ssl_{limit}_timeout": self.own[limit] / 1000 for limit in ("handshake", "shutdown") if limit in self.own}

    def upgrade(self):
        """The arguments of `start_tls`."""
        return {"sslcontext": context(self.server, self.alpn("alpn"), "known"), "server_side": self.server, **self.limits(), **self.name()}

    def peer(self, wire):
        """The other end on top of its socket, if it is secure from the beginning."""
        return self.upgraded(wire) if self.secure and self.manner != "plain" else wire

    def upgraded(self, wire):
        who = "stranger" if self.manner == "stranger" else "known"
        return Peer(wire, context(not self.server, self.alpn("peer_alpn"), who), not self.server, self.manner != "mute")


class Peer:
    """The other end of a secure connection, with the methods of a socket. It has read ahead what `plain` holds."""

    def __init__(self, wire, made, server, answers):
        self.wire, self.answers = wire, answers
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = made.wrap_bio(self.incoming, self.outgoing, server_side=server, server_hostname=None if server else NAME)
        self.out = self.plain = b""
        self.in_flight = 0
        self.shaking = True
        self.said = False
        # How it ended: eof, truncated, reset, failed.
        self.end = None

    def fileno(self):
        return self.wire.fileno()

    def setsockopt(self, *args):
        self.wire.setsockopt(*args)

    def getpeername(self):
        return self.wire.getpeername()

    def getsockname(self):
        return self.wire.getsockname()

    def flush(self):
        self.out += self.outgoing.read()
        if not self.out:
            return False
        try:
            sent = self.wire.send(self.out)
        except BlockingIOError:
            return False
        except OSError:
            sent = len(self.out)
        self.out = self.out[sent:]
        return sent > 0

    def take(self):
        try:
            data = self.wire.recv(RECORD)
        except BlockingIOError:
            return False
        except OSError:
            self.end = self.end or "reset"
            return True
        if data:
            self.incoming.write(data)
            self.digest()
        else:
            self.end = self.end or "truncated"
        return True

    def digest(self):
        try:
            if self.shaking:
                self.tls.do_handshake()
                self.shaking = False
            while self.end is None:
                data = self.tls.read(RECORD)
                if not data:
                    self.end = "eof"
                self.plain += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.end = self.end or "eof"
        except ssl.SSLError:
            self.end = self.end or "failed"
        if self.end == "eof" and self.answers:
            self.say_goodbye()

    def say_goodbye(self):
        if not self.said:
            self.said = True
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass

    def is_shaking_hands(self):
        return self.shaking and self.end is None

    def send(self, data):
        self.flush()
        if self.out:
            raise BlockingIOError
        sent, self.in_flight = self.in_flight, 0
        piece = data[sent:sent + RECORD]
        if piece and not self.said:
            self.tls.write(piece)
        self.flush()
        if not self.out:
            return sent + len(piece)
        self.in_flight = len(piece)
        if sent == 0:
            raise BlockingIOError
        return sent

    def recv(self, most):
        while not self.plain and self.end is None and self.take():
            pass
        self.flush()
        data, self.plain = self.plain[:most], self.plain[most:]
        if data:
            return data
        if self.end is None:
            raise BlockingIOError
        if self.end == "reset":
            raise ConnectionResetError
        return b""

    def shutdown(self, _how):
        self.say_goodbye()
        self.flush()

    def truncate(self):
        self.flush()
        self.wire.shutdown(1)

    def close(self):
        self.say_goodbye()
        self.flush()
        self.drop()

    def drop(self):
        self.wire.close()

    def pump(self, ahead):
        if self.shaking and self.end is None:
            self.digest()
        moved = self.flush()
        while self.end is None and (ahead or self.shaking) and self.take():
            moved = True
        return self.flush() or moved


def goes_ahead(live):
    """Whether the application closes and has nothing queued: then the peer reads ahead, to answer its closing word."""
    transport = live.transport
    if transport is None or not (live.lost or transport.is_closing()):
        return False
    if live.lost:
        return True
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if below is not None:
        return below.get_write_buffer_size() + transport.get_write_buffer_size() == 0
    # What uvloop holds below is not to be seen: then nobody waits for room.
    try:
        return struct.unpack("i", fcntl.ioctl(live.peer, termios.FIONREAD, b"\0" * 4))[0] < LITTLE
    except (OSError, ValueError):
        return False


def info(transport, what):
    """What a transport tells of its TLS."""
    session = transport.get_extra_info("ssl_object")
    if session is None:
        return ["none"]
    if what == "tls":
        return [session.version() or "none"]
    if what == "alpn":
        return [session.selected_alpn_protocol() or "none"]
    if what == "server_name":
        return [getattr(session, "server_hostname", None) or "none"]
    if what == "cipher":
        name, _, bits = transport.get_extra_info("cipher")
        return [name, bits]
    shown = session.getpeercert(binary_form=True)
    known = ssl.PEM_cert_to_DER_cert((HERE / "known.pem").read_text())
    return ["none" if not shown else "known" if shown == known else "other"]
