#!/usr/bin/env python3
"""Writes the matrix of contract section 17.8: each callback times each thing that may be done inside of it. One file a cell, next to this one.

    python3 generate.py

What is expected is worked out here from the contract's rules, not from what a loop does.
"""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
BIG = "{ pattern = 1000000 }"

COMMANDS = {
    "close": (['["close"]'], ["CLOSE-1"]),
    "abort": (['["abort"]'], ["CLOSE-2"]),
    "pause": (['["pause_reading"]'], ["READ-5"]),
    "resume": (['["resume_reading"]'], ["READ-7"]),
    "write-small": (['["write", "small"]'], ["WRITE-13"]),
    "write-high": ([f'["write", {BIG}]'], ["WRITE-13", "FLOW-6"]),
    "write-eof": (['["write_eof"]'], ["EOF-6"]),
    "set-protocol": (['["set_protocol", "second"]'], ["LIFE-14"]),
    "limits": (['["limits", { low = 10, high = 20 }]', '["probe", "limits"]'], ["FLOW-10", "FLOW-5"]),
    "close-another": (['["app.b", "close"]'], ["CLOSE-1", "RUST-2"]),
    "raise": (['["raise"]'], ["RUST-8"]),
}

CALLBACKS = ["cm", "data", "bu", "eof", "pause", "resume", "lost"]

# What CPython does otherwise, by cell: the row of the table, and the lanes.
FATAL_FOR_ALL = {"cm", "data", "bu", "eof"}


def cell(callback, command):
    """The steps, and the lane of the application as (events before, events of the callback, events behind)."""
    commands, covers = COMMANDS[command]
    second = command == "set-protocol"
    own = "second." if second else ""
    covers = ["RUST-1", *covers]
    word = callback if callback != "bu" else "bu"
    steps, before, call, behind, peer, hook = [], ["cm"], [], [], [], []
    probe = ['["probe", "limits", 10, 20]'] if command == "limits" else []
    ended = command in ("close", "abort", "raise")
    lost = {"close": "none", "abort": "none", "raise": "callback-failed"}.get(command)
    high = command == "write-high"
    wait_lost = f'["app", "wait", "{own}lost"]'

    # How the callback comes about.
    if callback == "cm":
        before, call = [], ["cm"]
    elif callback in ("data", "bu"):
        steps.append('["peer", "send", "x"]')
        call = [f'["{word}", "x"]']
    elif callback == "eof":
        steps.append('["peer", "eof"]')
        call = ["eof"]
    elif callback == "pause":
        steps.append(f'["app", "write", {BIG}]')
        call = ["pause"]
    elif callback == "resume":
        steps += [f'["app", "write", {BIG}]', '["app", "wait", "pause"]', '["peer", "drain-until", 0]']
        before, call = ["cm", "pause"], ["resume"]
        peer = ['["data", { prefix = { written = true } }]']
    else:
        steps.append('["app", "close"]')
        call = ['["lost", "none"]']
    call = call + probe

    # What follows from what it did.
    if callback == "lost":
        steps.append('["app", "wait", "lost"]')
        steps.append('["app", "settle"]')
        peer_end = '["peer", "recv-eof"]'
        steps.append(peer_end)
        peer = ["eof"]
        if command == "raise":
            hook = ['["report", "failed"]']
        return steps, before, call, behind, peer, hook, covers + ["LIFE-17", "LIFE-2"]

    steps.append(f'["app", "wait", "{word}"]')
    queue = callback in ("pause",)  # Bytes are queued when the callback runs.
    if command == "close":
        covers.append("LIFE-11")
        if queue:
            covers += ["CLOSE-9", "FLOW-14"]
            steps.append('["peer", "recv-eof"]')
            behind += ["resume"]
            peer = ['["data", { written = true }]', "eof"]
        if callback == "resume":
            covers.append("CLOSE-10")
        if callback == "eof":
            covers.append("EOF-5")
        if callback in ("data", "bu"):
            covers.append("CLOSE-8")
        if callback == "cm":
            covers.append("LIFE-8")
        steps.append('["app", "wait", "lost"]')
        behind.append('["lost", "none"]')
    elif command == "abort":
        covers.append("FLOW-15" if queue else "LIFE-11")
        if callback == "resume":
            covers.append("CLOSE-10")
        if callback == "eof":
            covers.append("EOF-5")
        if callback == "cm":
            covers.append("LIFE-8")
        steps.append('["app", "wait", "lost"]')
        behind.append('["lost", "none"]')
    elif command == "raise":
        if callback == "cm":
            covers.append("LIFE-10")
        steps.append('["app", "wait", "lost"]')
        behind.append('["lost", "callback-failed"]')
        hook = ['["report", "failed"]']
    elif callback == "eof":
        # It answers false: the connection closes itself when all is sent.
        covers.append("EOF-2")
        if high:
            behind += ["pause", "resume"]
        steps.append('["peer", "recv-eof"]')
        peer = ['["data", { written = true }]', "eof"] if command.startswith("write-") and command != "write-eof" else ["eof"]
        steps.append(wait_lost)
        behind.append(f'["{own}lost", "none"]')
        if command.startswith("write-"):
            covers.append("EOF-5")
    else:
        if callback == "resume" and command == "limits":
            # What is still queued may be more than the new high mark.
            behind.append('{ opt = ["pause", "resume"] }')
        steps.append('["app", "settle"]')
        # It goes on: the connection must still work in both directions.
        if callback == "pause":
            steps.append('["peer", "drain-until", 0]')
            steps.append(f'["app", "wait", "{own}resume"]')
            behind.append(f"{own}resume")
            peer = ['["data", { prefix = { written = true } }]']
        if callback == "resume":
            peer = ['["data", { prefix = { written = true } }]']
        if high and callback != "pause":
            steps.append('["app", "wait", "pause"]' if callback != "resume" else '["app", "wait", { pause = 2 }]')
            behind.append("pause")
            steps.append('["peer", "drain-until", 0]')
            steps.append('["app", "wait", "resume"]' if callback != "resume" else '["app", "wait", { resume = 2 }]')
            behind.append("resume")
            peer = ['["data", { prefix = { written = true } }]']
            if callback == "resume":
                covers.append("FLOW-13")
        received = f"{own}{'bu' if callback == 'bu' and not second else 'data'}"
        first = 1 if callback in ("data", "bu") and not second else 0
        steps.append('["peer", "send", "more"]')
        if command == "pause":
            covers += ["READ-8", "LIFE-7"] if callback == "cm" else ["READ-8"]
            steps += ['["app", "settle"]', '["app", "probe", "reading"]', '["app", "resume_reading"]']
            behind.append('["probe", "reading", false]')
        steps.append(f'["app", "wait", {{ "{received}" = {first + 4} }}]')
        behind.append(f'["{received}", "more"]')
        steps += ['["peer", "eof"]', '["peer", "recv-eof"]', wait_lost]
        behind += [f"{own}eof", f'["{own}lost", "none"]']
        if command == "write-small" and callback in ("cm", "data", "bu"):
            peer = ['["data", "small"]']
        if peer:
            peer = ['["data", { written = true }]']
        peer.append("eof")
    return steps, before, call, behind, peer, hook, covers


def departures(callback, command, before, call, behind):
    """What other loops are known to do instead."""
    found = {}
    if command == "raise" and callback in ("pause", "resume"):
        found["asyncio"] = ("DIS-9: failures of flow callbacks are only reported", [*before, *call], True)
        found["uvloop"] = found["asyncio"]
    if command == "raise" and callback == "cm":
        found["asyncio"] = ("DIS-9: a failing connection_made is only reported", [*before, *call], True)
        found["uvloop"] = found["asyncio"]
    if command == "pause" and callback == "cm":
        lane = [*before, *call, '["data", "more"]', '["probe", "reading", true]', "eof", '["lost", "none"]']
        found["uvloop"] = ("DIS-7: pause_reading inside of connection_made is ignored", lane, False)
    return found


def text(items, indent="  "):
    quoted = [item if item.startswith(("[", "{", '"')) else f'"{item}"' for item in items]
    line = ", ".join(quoted)
    if len(line) < 110:
        return f"[{line}]"
    return "[\n" + "".join(f"{indent}{item},\n" for item in quoted) + "]"


def main():
    for old in HERE.glob("*.toml"):
        old.unlink()
    for callback in CALLBACKS:
        for command, (commands, _) in COMMANDS.items():
            steps, before, call, behind, peer, hook, covers = cell(callback, command)
            covers = list(dict.fromkeys(covers))
            name = f"{callback}-{command}"
            link = 'kind = "tcp", sndbuf = 32768, rcvbuf = 32768'
            if command == "close-another":
                link += ', also = ["b"]'
            lines = [
                "# Generated by generate.py: change that.",
                f'id = "reentry/{name}"',
                f'about = "In `{callback}`: {", ".join(c.strip("[]").replace(chr(34), "") for c in commands)}."',
                "covers = [" + ", ".join(f'"{c}"' for c in covers) + "]",
                f"link = {{ {link} }}",
            ]
            if callback == "bu":
                lines.append("app.buffer = 100")
            if name == "cm-close-another":
                # There is no other connection yet when the first one is made.
                lines += [
                    'app.b.on.cm = [["app", "close"]]',
                    'steps = [["app", "wait", "lost"], ["peer.b", "send", "more"], ["app.b", "wait", { data = 4 }]]',
                    'expect.app = ["cm", ["lost", "none"]]',
                    'expect."app.b" = ["cm", ["data", "more"]]',
                ]
                (HERE / f"{name}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
                continue
            lines.append(f"app.on.{callback} = " + text(commands))
            if command == "set-protocol":
                lines.append("protocol.second = {}")
            lines.append("steps = [\n" + "".join(f"  {step},\n" for step in steps) + "]")
            lines.append("expect.app = " + text([*before, *call, *behind]))
            if command == "close-another":
                lines.append('expect."app.b" = ["cm", ["lost", "none"]]')
            if peer:
                lines.append("expect.peer = " + text(peer))
            if hook:
                lines.append("expect.hook = " + text(hook))
            if callback == "resume" and command in ("close", "abort"):
                lines += [
                    "",
                    "[departs.asyncio]",
                    'why = "DIS-14: an internal double teardown is reported"',
                    'expect.hook = [["report", "other"]]',
                ]
            for who, (why, lane, stuck) in departures(callback, command, before, call, behind).items():
                lines += ["", f"[departs.{who}]", f'why = "{why}"', "expect.app = " + text(lane)]
                if stuck:
                    lines.append(f'expect.host = [["stuck", "step", {len(steps)}]]')
            (HERE / f"{name}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
