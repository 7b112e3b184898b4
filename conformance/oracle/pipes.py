"""Pipes, and whatever can be read or written like one: what the loop gets, and the other end. The counterpart of src/scenario/pipe_real.rs."""

import os
import pty
import select
import socket
import stat
import tty


class Peer:
    """The other end of a pipe, with the methods of a socket. Its `shutdown` closes it, if it writes."""

    def __init__(self, fd, reads, writes):
        os.set_blocking(fd, False)
        self.fd, self.reads, self.writes = fd, reads, writes

    def fileno(self):
        return -1 if self.fd is None else self.fd

    def send(self, data):
        return len(data) if self.fd is None else os.write(self.fd, data)

    def recv(self, most):
        if self.fd is None:
            return b""
        if not self.reads:
            poll = select.poll()
            poll.register(self.fd, 0)
            if poll.poll(0):
                return b""
            raise BlockingIOError
        return os.read(self.fd, most)

    def shutdown(self, how):
        if self.writes:
            self.close()

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None


def pair(kind, through, place):
    """What is given to the loop, and the other end if there is one."""
    reads = kind == "read-pipe"

    def file(fd):
        return os.fdopen(fd, "rb" if reads else "wb", 0)

    if through in ("pipe", "other-end"):
        reader, writer = os.pipe()
        if through == "other-end":
            os.close(reader if reads else writer)
            return os.fdopen(writer if reads else reader, "wb" if reads else "rb", 0), None
        return file(reader if reads else writer), Peer(writer if reads else reader, not reads, reads)
    if through in ("fifo", "fifo-both-ways"):
        path = place()
        os.mkfifo(path)
        # Opening one direction waits for the other: this one does not.
        both = os.open(path, os.O_RDWR)
        theirs = os.open(path, os.O_WRONLY if reads else os.O_RDONLY)
        ours = os.open(path, os.O_RDONLY if reads else os.O_WRONLY)
        if through == "fifo-both-ways":
            ours, both = both, ours
        os.close(both)
        return file(ours), Peer(theirs, not reads, reads)
    if through == "socket":
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        return ours, theirs
    if through == "terminal":
        line, ours = pty.openpty()
        tty.setraw(ours)
        # Of the line it is seen when nobody has the terminal open any more; the other way round Linux tells an end like any other.
        return file(line), Peer(ours, True, True)
    path = place()
    if through == "folder":
        os.mkdir(path)
        # There are no file objects of folders.
        return Folder(os.open(path, os.O_RDONLY)), None
    return open(path, "wb+", 0), None


class Folder:
    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None


def kind_of(pipe):
    """What a transport says that its pipe is."""
    if pipe is None:
        return "none"
    mode = os.fstat(pipe.fileno()).st_mode
    if stat.S_ISFIFO(mode):
        return "pipe"
    if stat.S_ISSOCK(mode):
        return "socket"
    return "terminal" if os.isatty(pipe.fileno()) else "device"
