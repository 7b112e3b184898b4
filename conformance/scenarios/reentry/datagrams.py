"""The rows of the matrix for datagram endpoints: the callbacks that they have, times what can be done inside of them."""

from cells import text

# So much is above the high mark by itself, once the kernel takes no more.
HIGH = "{ pattern = 70000 }"

COMMANDS = {
    "close": (['["close"]'], ["DGRAM-8"]),
    "abort": (['["abort"]'], ["DGRAM-9"]),
    "pause": (['["pause_reading"]'], ["DGRAM-15"]),
    "resume": (['["resume_reading"]'], ["DGRAM-15"]),
    "send-small": (['["send", "small"]'], ["DGRAM-4"]),
    "send-high": ([f'["send", {HIGH}]'], ["DGRAM-11", "FLOW-6"]),
    "set-protocol": (['["set_protocol", "second"]'], ["LIFE-14"]),
    "limits": (['["limits", { low = 10, high = 20 }]', '["probe", "limits"]'], ["FLOW-10"]),
    "close-another": (['["app.b", "close"]'], ["DGRAM-8", "RUST-2"]),
    "abort-another": (['["app.b", "abort"]'], ["DGRAM-9", "RUST-2"]),
    "send-another": (['["app.b", "send", "hello"]'], ["DGRAM-4", "RUST-2"]),
    "pause-another": (['["app.b", "pause_reading"]'], ["DGRAM-15", "RUST-2"]),
    "schedule": (['["loop", "call_soon", "later"]'], ["LOOP-30"]),
    "fail": (['["fail"]'], ["RUST-8"]),
    "raise": (['["raise"]'], ["RUST-8"]),
}

CALLBACKS = ["cm", "dgram", "err", "pause", "resume", "lost"]

# What is done to another endpoint: what shows it in the end, its lane, and what its peer gets.
ANOTHER = {
    "close-another": (['["app{b}", "wait", "lost"]'], ['["lost", "none"]'], []),
    "abort-another": (['["app{b}", "wait", "lost"]'], ['["lost", "none"]'], []),
    "send-another": (['["peer{b}", "recv", 1]'], [], ['["dgram", "hello"]']),
    "pause-another": (
        [
            '["peer{b}", "send", "more"]',
            '["app{b}", "settle"]',
            '["app{b}", "probe", "reading"]',
            '["app{b}", "resume_reading"]',
            '["app{b}", "wait", "dgram"]',
        ],
        ['["probe", "reading", false]', '["dgram", "more"]'],
        [],
    ),
}

# Some datagrams in the peer's lane of which nobody counts how many the kernel took.
SOME = '{ star = [["dgram", { anything = true }]] }'


def cell(callback, command):
    """The steps, the lane of the application, the lane of the peer and that of the hook."""
    own = "second." if command == "set-protocol" else ""
    covers = ["RUST-1", *COMMANDS[command][1]]
    steps, lane, peer, hook = [], ["cm"], [], []
    queued = callback in ("pause", "resume")
    if callback == "cm":
        # It comes with the opening: nothing is to be done for it.
        pass
    elif callback == "dgram":
        steps += ['["peer", "send", "x"]', '["app", "wait", "dgram"]']
        lane.append('["dgram", "x"]')
    elif callback == "err":
        steps += ['["app", "send", "x"]', '["app", "wait", "err"]']
        lane.append('["err", "refused"]')
    elif queued:
        steps += ['["app", "fill", 200000]', '["app", "wait", "pause"]']
        lane.append("pause")
        peer.append(SOME)
        if callback == "resume":
            steps += ['["peer", "drain-until", 0]', '["app", "wait", "resume"]']
            lane.append("resume")
    else:
        steps += ['["app", "close"]', '["app", "wait", "lost"]']
        lane.append('["lost", "none"]')
    if command == "limits":
        lane.append('["probe", "limits", 10, 20]')
    if callback == "cm":
        # What happens in there comes before the end of the opening.
        if command in ("fail", "raise"):
            steps.append('["app", "open"]')
            covers.append("LIFE-10")
        else:
            lane.append('["done", "ok"]')
    else:
        lane.insert(1, '["done", "ok"]')

    if command in ("fail", "raise"):
        hook = ['["report", "failed"]']
    if callback == "lost":
        return [*steps, '["app", "settle"]'], lane, peer, hook, [*covers, "LIFE-2", "LIFE-17"]

    if command == "close":
        if callback == "pause":
            steps.append('["peer", "drain-until", 0]')
            lane.append("resume")
            covers.append("FLOW-14")
        steps.append('["app", "wait", "lost"]')
        lane.append('["lost", "none"]')
        if callback == "dgram":
            covers.append("DGRAM-16")
        return steps, lane, peer, hook, covers
    if command in ("abort", "fail", "raise"):
        steps.append('["app", "wait", "lost"]')
        lane.append('["lost", "none"]' if command == "abort" else '["lost", "callback-failed"]')
        if callback == "pause":
            covers.append("FLOW-15")
            peer.clear()
        return steps, lane, peer, hook, covers

    # It goes on: the endpoint must still work in both directions.
    if callback == "resume" and command == "limits":
        # What is still queued may be more than the new high mark.
        lane.append('{ opt = ["pause", "resume"] }')
    steps.append('["app", "settle"]')
    if callback == "pause":
        steps += ['["peer", "drain-until", 0]', f'["app", "wait", "{own}resume"]']
        lane.append(f"{own}resume")
    if callback == "err":
        # Nobody is there who could answer.
        if command in ("send-small", "send-high"):
            steps.append('["app", "wait", { err = 2 }]')
            lane.append('["err", "refused"]')
        else:
            steps.append('["app", "probe", "closing"]')
            lane.append('["probe", "closing", false]')
        steps += ['["app", "close"]', f'["app", "wait", "{own}lost"]']
        lane.append(f'["{own}lost", "none"]')
        return steps, lane, peer, hook, [*covers, "DGRAM-7"]
    if command == "pause":
        steps += ['["peer", "send", "more"]', '["app", "settle"]', '["app", "probe", "reading"]', '["app", "resume_reading"]']
        lane.append('["probe", "reading", false]')
    else:
        steps.append('["peer", "send", "more"]')
    count = 2 if callback == "dgram" and not own else 1
    steps.append(f'["app", "wait", {{ "{own}dgram" = {count} }}]')
    lane.append(f'["{own}dgram", "more"]')
    if callback in ("cm", "dgram") and command == "send-small":
        steps.append('["peer", "recv", 1]')
        peer = ['["dgram", "small"]']
    return steps, lane, peer, hook, covers


def kinds(callback, command):
    if callback in ("pause", "resume"):
        return '"unix-datagram"'
    return '"udp"' if callback == "err" else '["udp", "unix-datagram"]'


def makes_sense(callback, command):
    """A datagram stays in the queue only where the kernel is full already."""
    return command != "send-high" or callback == "pause"


WHY_RAISED = "DIS-9: failures of callbacks are only reported"
WHY_PAUSED = "DIS-31: reading cannot be paused"
NO_PAUSE = '["raised", "pause_reading", "AttributeError"]'
NO_RESUME = '["raised", "resume_reading", "AttributeError"]'
NO_PROBE = '["raised", "probe", "AttributeError"]'


def departures(callback, command, lane, steps):
    """What other loops are known to do instead: by loop, the row of the table and the lanes."""
    found = {}
    stuck = [f'["stuck", "step", {len(steps)}]']
    if command in ("fail", "raise") and callback != "lost":
        rest = [item for item in lane if "callback-failed" not in item]
        if callback == "cm":
            rest.append('["done", "ok"]')
        found["asyncio"] = {"why": WHY_RAISED, "app": rest, "host": stuck}
        found["uvloop"] = dict(found["asyncio"])
        if callback == "err":
            found["uvloop"] |= {"why": "finding: the failure of error_received is not even reported", "hook": []}
    if callback == "cm" and command in ("close", "abort"):
        early = [item for item in lane if "done" not in item] + ['["done", "ok"]']
        why = "finding: the loss is told before the opening is over, which 17.6 leaves open"
        found["asyncio"] = {"why": why, "app": early}
        found["uvloop"] = dict(found["asyncio"])
    if callback == "resume" and command == "limits":
        early = list(lane)
        at = early.index("resume")
        early[at + 1:] = ["pause", lane[at + 1], "resume", *lane[at + 3:]]
        found["asyncio"] = {"why": "finding: flow callbacks are called inside of set_write_buffer_limits", "app": early}
    if callback == "resume" and command == "abort":
        found["asyncio"] = {"why": "DIS-14: an internal double teardown is reported", "hook": ['["report", "other"]']}
    if callback == "pause" and command == "abort":
        reports = ['["report", "other"]', '{ star = [["report", "other"]] }']
        found["uvloop"] = {"why": "finding: what was queued is reported as a failure, datagram by datagram", "hook": reports}
    if command in ("pause", "resume", "pause-another"):
        found["uvloop"] = {"why": WHY_PAUSED}
        if command == "pause-another":
            found["uvloop"]["app.b"] = ["cm", '["done", "ok"]', NO_PAUSE, '["dgram", "more"]', NO_PROBE, NO_RESUME]
        else:
            found["uvloop"]["app"] = without_pausing(callback, command, lane)
    return found


def without_pausing(callback, command, lane):
    """The lane where nothing can be paused: what is tried fails inside of the callback, and what comes is delivered at once."""
    heads = {"cm": "cm", "dgram": '["dgram", "x"]', "err": '["err", "refused"]', "pause": "pause", "resume": "resume", "lost": '["lost", "none"]'}
    at = lane.index(heads[callback]) + 1
    raised = NO_PAUSE if command == "pause" else NO_RESUME
    rest = lane[at:]
    if command == "pause" and '["probe", "reading", false]' in rest:
        rest.remove('["probe", "reading", false]')
        rest += [NO_PROBE, NO_RESUME]
    return [*lane[:at], raised, *rest]


def lane_name(name):
    return f'"{name}"' if "." in name else name


def files():
    """The name and the text of each file."""
    for callback in CALLBACKS:
        for command, (commands, _) in COMMANDS.items():
            if not makes_sense(callback, command):
                continue
            steps, lane, peer, hook, covers = cell(callback, command)
            another = ANOTHER.get(command)
            link = f'kind = {kinds(callback, command)}, by = "connect"'
            if callback == "err":
                link += ', listener = "nobody"'
            if callback == "cm" and command in ("fail", "raise"):
                link += ', open = "steps"'
            if another and callback in ("cm", "err"):
                # When the first is made there is no second one yet; and where nobody is there is no peer for either.
                continue
            if another:
                link += ', also = ["b"]'
                steps += [step.replace("{b}", ".b") for step in another[0]]
            lines = [
                f'about = "In `{callback}` of a datagram endpoint: {", ".join(c.strip("[]").replace(chr(34), "") for c in commands)}."',
                "covers = [" + ", ".join(f'"{c}"' for c in dict.fromkeys(covers)) + "]",
                f"link = {{ {link} }}",
                f"app.on.{callback} = " + text(commands),
            ]
            if command == "set-protocol":
                lines.append("protocol.second = {}")
            if command == "schedule":
                lines.append("job.later = []")
                steps.append('["loop", "wait", "soon"]')
            if not steps:
                steps.append('["app", "settle"]')
            lines.append("steps = [\n" + "".join(f"  {step},\n" for step in steps) + "]")
            lines.append("expect.app = " + text(lane))
            if another:
                lines.append('expect."app.b" = ' + text(["cm", '["done", "ok"]', *another[1]]))
                if another[2]:
                    lines.append('expect."peer.b" = ' + text(another[2]))
            if command == "schedule":
                lines.append('expect.loop = [["soon", "later"]]')
            if peer:
                lines.append("expect.peer = " + text(peer))
            if hook:
                lines.append("expect.hook = " + text(hook))
            for who, lanes in departures(callback, command, lane, steps).items():
                lines += ["", f"[departs.{who}]", f'why = "{lanes.pop("why")}"']
                lines += [f"expect.{lane_name(name)} = " + text(events) for name, events in lanes.items()]
            yield f"datagrams-{callback}-{command}", lines
