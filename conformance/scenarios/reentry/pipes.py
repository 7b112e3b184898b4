"""The rows of the matrix for pipes: the callbacks that each end has, times what can be done inside of them."""

from cells import text

BIG = "{ pattern = 1000000 }"

COMMANDS = {
    "close": ('["close"]', ["CLOSE-1"]),
    "abort": ('["abort"]', ["CLOSE-2"]),
    "pause": ('["pause_reading"]', ["READ-5"]),
    "resume": ('["resume_reading"]', ["READ-7"]),
    "write-small": ('["write", "small"]', ["WRITE-13"]),
    "write-high": (f'["write", {BIG}]', ["WRITE-13", "FLOW-6"]),
    "write-eof": ('["write_eof"]', ["PIPE-8"]),
    "set-protocol": ('["set_protocol", "second"]', ["LIFE-14"]),
    "close-another": ('["app.b", "close"]', ["CLOSE-1", "RUST-2"]),
    "schedule": ('["loop", "call_soon", "later"]', ["LOOP-30"]),
    "fail": ('["fail"]', ["RUST-8"]),
    "raise": ('["raise"]', ["RUST-8"]),
}

BOTH = ["close", "set-protocol", "close-another", "schedule", "fail", "raise"]
READ = ["pause", "resume"]
WRITE = ["abort", "write-small", "write-high", "write-eof"]
ROWS = [(end, callback) for end, callbacks in (("read-pipe", ["cm", "data", "eof", "lost"]), ("write-pipe", ["cm", "pause", "resume", "lost"])) for callback in callbacks]


def reader(callback, command, own):
    """The steps, and the lane behind the callback, of the end that reads."""
    happens = {
        "cm": ([], ["cm"]),
        "data": (['["peer", "send", "x"]', '["app", "wait", "data"]'], ["cm", '["data", "x"]']),
        "eof": (['["peer", "eof"]', '["app", "wait", "eof"]'], ["cm", "eof"]),
        "lost": (['["app", "close"]', '["app", "wait", "lost"]', '["app", "settle"]'], ["cm", '["lost", "none"]']),
    }
    steps, lane = happens[callback]
    if callback == "lost":
        return steps, lane, []
    if command in ("fail", "raise"):
        return [*steps, '["app", "wait", "lost"]'], [*lane, '["lost", "callback-failed"]'], []
    if command == "close":
        return [*steps, '["app", "wait", "lost"]'], [*lane, '["lost", "none"]'], []
    if callback == "eof":
        return [*steps, f'["app", "wait", "{own}lost"]'], [*lane, f'["{own}lost", "none"]'], []
    steps.append('["peer", "send", "more"]')
    if command == "pause":
        steps += ['["app", "settle"]', '["app", "probe", "reading"]', '["app", "resume_reading"]']
        lane.append('["probe", "reading", false]')
    first = 1 if callback == "data" and not own else 0
    steps += [f'["app", "wait", {{ "{own}data" = {first + 4} }}]', '["peer", "eof"]', f'["app", "wait", "{own}lost"]']
    lane += [f'["{own}data", "more"]', f"{own}eof", f'["{own}lost", "none"]']
    return steps, lane, []


def writer(callback, command, own):
    """The same of the end that writes, and what its peer gets."""
    happens = {
        "cm": ([], ["cm"]),
        "pause": ([f'["app", "write", {BIG}]', '["app", "wait", "pause"]'], ["cm", "pause"]),
        "resume": (
            [f'["app", "write", {BIG}]', '["app", "wait", "pause"]', '["peer", "drain-until", 0]', '["app", "wait", "resume"]'],
            ["cm", "pause", "resume"],
        ),
        "lost": (['["app", "close"]', '["app", "wait", "lost"]', '["app", "settle"]', '["peer", "recv-eof"]'], ["cm", '["lost", "none"]']),
    }
    steps, lane = happens[callback]
    written = '["data", { written = true }]'
    if callback == "lost":
        return steps, lane, ["eof"]
    if command in ("fail", "raise", "abort"):
        why = "none" if command == "abort" else "callback-failed"
        end = [*steps, '["app", "wait", "lost"]', '["peer", "recv-eof"]']
        # Some of it may be in the pipe already.
        peer = ["eof"] if callback == "cm" else ['{ opt = [["data", { prefix = { written = true } }]] }', "eof"]
        return end, [*lane, f'["lost", "{why}"]'], peer
    ends = command in ("close", "write-eof")
    writes = command.startswith("write-") and not ends
    if command == "write-high" and callback != "pause":
        lane.append("pause")
    if not ends:
        steps.append('["app", "settle"]')
    if callback == "pause" or command == "write-high":
        steps.append('["peer", "drain-until", 0]' if not ends else '["peer", "recv-eof"]')
        lane.append(f"{own}resume")
        if not ends:
            count = 2 if callback == "resume" else 1
            steps.append(f'["app", "wait", {{ "{own}resume" = {count} }}]')
    if not ends:
        steps.append('["app", "close"]')
    if '["peer", "recv-eof"]' not in steps:
        steps.append('["peer", "recv-eof"]')
    steps.append(f'["app", "wait", "{own}lost"]')
    lane.append(f'["{own}lost", "none"]')
    return steps, lane, [written, "eof"] if writes or callback != "cm" else ["eof"]


def departures(end, callback, command, lane, steps):
    """What other loops are known to do instead: by loop, the row of the table and the lanes."""
    found = {}
    if command in ("fail", "raise") and callback != "lost":
        at = next(n for n, step in enumerate(steps, 1) if step == '["app", "wait", "lost"]')
        rest = {"app": lane[:-1], "host": [f'["stuck", "step", {at}]'], "why": "DIS-9: failures of callbacks are only reported"}
        if end == "write-pipe":
            # Nobody reads any more behind the step that is stuck.
            rest["peer"] = ['["data", { prefix = { written = true } }]'] if callback == "resume" else []
        if callback == "eof":
            rest = {"app": [*lane[:-1], '["lost", "none"]'], "why": "DIS-9: failures of callbacks are only reported"}
        found["asyncio"] = dict(rest)
        if end == "write-pipe" or callback == "cm":
            found["uvloop"] = dict(rest)
    if end == "write-pipe" and command == "abort" and callback in ("lost", "resume") or (callback, command) in (("resume", "close"), ("resume", "write-eof")):
        why = "DIS-12: the second abort of a write pipe reports an internal error" if callback == "lost" else "DIS-14: an internal double teardown is reported"
        found["asyncio"] = {"why": why, "hook": ['["report", "other"]']}
    if end == "write-pipe" and command == "write-eof" and callback != "lost":
        found["uvloop"] = {"why": "finding: a write pipe that is closed by write_eof is lost with an error", "app": [*lane[:-1], '["lost", "other"]']}
    if (end, callback, command) == ("read-pipe", "cm", "pause"):
        early = ["cm", '["data", "more"]', '["probe", "reading", true]', *lane[3:]]
        found["uvloop"] = {"why": "DIS-7: pause_reading inside of connection_made is ignored", "app": early}
    return found


def files():
    """The name and the text of each file."""
    for end, callback in ROWS:
        reads = end == "read-pipe"
        for command in BOTH + (READ if reads else WRITE):
            if command == "close-another" and callback == "cm":
                # There is no other one yet.
                continue
            own = "second." if command == "set-protocol" else ""
            steps, lane, peer = (reader if reads else writer)(callback, command, own)
            what, covers = COMMANDS[command]
            covers = ["RUST-1", *covers, *(["LIFE-2", "LIFE-17"] if callback == "lost" else [])]
            lines = [
                f'about = "In `{callback}` of a {end.replace("-", " ")}: {what.strip("[]").replace(chr(34), "")}."',
                "covers = [" + ", ".join(f'"{c}"' for c in dict.fromkeys(covers)) + "]",
                f'link = {{ kind = "{end}"{", also = [" + chr(34) + "b" + chr(34) + "]" if command == "close-another" else ""} }}',
                f"app.on.{callback} = [{what}]",
            ]
            if command == "set-protocol":
                lines.append("protocol.second = {}")
            if command == "schedule":
                lines.append("job.later = []")
                steps = [*steps, '["loop", "wait", "soon"]']
            if command == "close-another":
                steps = [*steps, '["app.b", "wait", "lost"]']
            lines.append("steps = [\n" + "".join(f"  {step},\n" for step in steps) + "]")
            lines.append("expect.app = " + text(lane))
            if command == "close-another":
                lines.append('expect."app.b" = ["cm", ["lost", "none"]]')
            if command == "schedule":
                lines.append('expect.loop = [["soon", "later"]]')
            if peer:
                lines.append("expect.peer = " + text(peer))
            if command in ("fail", "raise"):
                lines.append('expect.hook = [["report", "failed"]]')
            for who, lanes in departures(end, callback, command, lane, steps).items():
                lines += ["", f"[departs.{who}]", f'why = "{lanes.pop("why")}"']
                lines += [f"expect.{name} = " + text(events) for name, events in lanes.items()]
            yield f"{end}-{callback}-{command}", lines
