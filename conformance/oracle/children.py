"""Child processes: the script for the shell, and the protocol. The counterpart of src/scenario/child.rs and stage_process.rs."""

import asyncio
import os
import shlex
import subprocess

from lanes import event_pattern

NAMES = ("stdin", "stdout", "stderr")


def shell(steps, place):
    """`$0` is where the child hears that it is to go on. What is more than a text is put into a file."""
    lines = []
    for n, (verb, *args) in enumerate(steps):
        # A program in its place, so that nobody is left behind when it is killed.
        program = "exec " if n + 1 == len(steps) else ""
        if verb == "write":
            to = " >&2" if args[0] == "stderr" else ""
            if isinstance(args[1], str):
                lines.append(f"printf %s {shlex.quote(args[1])}{to}")
            else:
                path = place()
                with open(path, "wb") as file:
                    file.write(event_pattern(0, args[1]["pattern"]))
                lines.append(f"{program}cat {shlex.quote(path)}{to}")
        elif verb == "leave":
            # What runs in the background has no stdin of its own accord.
            lines.append(f"exec 3<&0\n(\n{shell(args[0], place)}\n) <&3 3<&- &\nexec 3<&-")
        elif verb == "close":
            lines.append({"stdin": "exec <&-", "stdout": "exec >&-", "stderr": "exec 2>&-"}[args[0]])
        else:
            plain = {
                "read": "read -r _",
                "drain": f"{program}cat >/dev/null",
                "cat": f"{program}cat",
                "await": 'read -r _ <"$0"',
                "ignore": f"trap '' {args[0] if args else ''}",
                "exit": f"exit {args[0] if args else ''}",
                "die": f"kill -{args[0] if args else ''} $$",
            }
            lines.append(plain[verb])
    # What it ends with is said, not left to what the last command ended with.
    return "\n".join([*lines, "exit 0"])


class Children:
    """What a scenario of a child needs beside the loop: its script, where it waits, and the files that it writes."""

    def __init__(self, player):
        self.player = player
        self.go_on = None

    def start(self, factory):
        player, link = self.player, self.player.link
        if link.get("program") == "absent":
            return player.loop.subprocess_exec(factory, "/nowhere/at-all")
        place = player.place()
        os.mkfifo(place)
        # Open for both, it never ends: a child that opens it does not wait for us, nor we for it.
        self.go_on = os.open(place, os.O_RDWR)
        given = {}
        for name, live in zip(NAMES, player.lives[1:]):
            what = link.get(name, "pipe")
            if what == "file":
                path = player.place()
                given[name] = open(path, "wb")
                player.kept.append(given[name])
                live.peer = File(open(path, "rb", 0))
            elif what != "pipe":
                given[name] = {"null": subprocess.DEVNULL, "inherit": None, "stdout": subprocess.STDOUT}[what]
        script = shell(player.scenario["child"], player.place)
        return player.loop.subprocess_exec(factory, "/bin/sh", "-c", script, place, **given)

    def go(self):
        os.write(self.go_on, b"\n")

    def close(self):
        if self.go_on is not None:
            os.close(self.go_on)
        self.go_on = None


class File:
    """Somebody who reads a file."""

    def __init__(self, file):
        self.file = file

    def recv(self, most):
        return self.file.read(most)

    def fileno(self):
        return self.file.fileno()

    def close(self):
        self.file.close()


def protocol(callbacks, error_class):
    """The protocol of a child; `callbacks` are those of the child and of its pipes."""
    child, pipes = callbacks[0], callbacks[1:]

    class Child(asyncio.SubprocessProtocol):
        def connection_made(self, transport):
            for fd, pipe in enumerate(pipes):
                pipe.live.transport = transport.get_pipe_transport(fd)
                pipe.live.made = pipe.live.transport is not None
            child.connection_made(transport)

        def pipe_data_received(self, fd, data):
            pipes[fd].called("data", bytes(data))

        def pipe_connection_lost(self, fd, error):
            pipes[fd].live.lost = True
            pipes[fd].called("lost", error_class(error))

        def process_exited(self):
            child.called("exited", child.live.transport.get_returncode())

        def pause_writing(self):
            pipes[0].pause_writing()

        def resume_writing(self):
            pipes[0].resume_writing()

        def connection_lost(self, error):
            child.connection_lost(error)

    return Child()


def probe(transport, what):
    if what == "closing":
        return [transport.is_closing()]
    if what == "pid":
        return [transport.get_pid() is not None]
    if what == "returncode":
        code = transport.get_returncode()
        return ["none" if code is None else code]
    there = [name for fd, name in enumerate(NAMES) if transport.get_pipe_transport(fd) is not None]
    return [" ".join(there) or "none"]
