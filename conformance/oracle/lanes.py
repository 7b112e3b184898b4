"""What happened, as data. The counterpart of src/scenario/lane.rs and of the reader in oracle.rs."""

import json


# The pattern repeats itself after 64 KiB.
PERIOD = bytes(((31 * i + 7) ^ (i >> 8)) & 0xFF for i in range(65536))


def event_pattern(start, length):
    """Bytes of which each tells where it belongs."""
    start %= 65536
    return (PERIOD * ((start + length) // 65536 + 1))[start:start + length]


class Record:
    def __init__(self):
        self.lanes = {}
        # The lane of each event and [lane, words] of each step, as they came.
        self.order = []
        self._streams = {}

    def streams(self, name):
        return self._streams.setdefault(name, {"written": b"", "sent": b""})

    def push(self, lane, event):
        events = self.lanes.setdefault(lane, [])
        if events and len(event) == 2 and isinstance(event[1], bytes) and events[-1][0] == event[0]:
            events[-1][1] += event[1]
        else:
            events.append(list(event))
            self.order.append(lane)

    def step(self, actor, *rest):
        self.order.append([actor, " ".join([rest[0], *map(words, rest[1:])])])

    def amount(self, lane, name):
        found = [event for event in self.lanes.get(lane, []) if event[0] == name]
        return sum(len(event[1]) if len(event) == 2 and isinstance(event[1], bytes) else 1 for event in found)

    def volume(self):
        events = [event for lane in self.lanes.values() for event in lane]
        return sum(1 + (len(event[1]) if len(event) == 2 and isinstance(event[1], bytes) else 0) for event in events)

    def result(self):
        lanes = {name: self.lane(name, events) for name, events in self.lanes.items()}
        streams = {
            name: {key: pieces(data) for key, data in both.items()} for name, both in self._streams.items() if any(both.values())
        }
        return {"lanes": lanes, "streams": streams, "order": self.order}

    def lane(self, name, events):
        both = self._streams.get(name.partition(".")[2], {"written": b"", "sent": b""})
        key = "written" if name.startswith("peer") else "sent"
        at, out = 0, []
        for event in events:
            if len(event) == 2 and isinstance(event[1], bytes):
                data = event[1]
                out.append([event[0], payload(data, key, both[key], at)])
                at += len(data)
            elif len(event) == 3 and isinstance(event[1], bytes):
                # A datagram, with who sent it: it is no piece of a stream.
                out.append([event[0], payload(event[1], key, b"", 0), event[2]])
            else:
                out.append(event)
        return out


def words(value):
    """A value as the files have it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {words(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(words, value)) + "]"
    return json.dumps(value)


def plain(data):
    return len(data) <= 64 and all(32 <= byte < 127 for byte in data)


def payload(data, key, stream, at):
    if plain(data):
        return {"text": data.decode()}
    if stream[at:at + len(data)] == data:
        return {key: [at, len(data)]}
    # What a child wrote nobody here has sent.
    if (run := run_at(data, 0)) and run[1] == len(data):
        return {"pattern": list(run)}
    return {"hex": data.hex()} if len(data) < 1000 else {"pieces": altered(data, key, stream, at)}


def altered(data, key, stream, at):
    """What is as it was written or sent, runs of one byte, and the rest."""
    out, done = [], 0
    while done < len(data):
        same = 0
        step = 65536
        while step and done + same < len(data):
            if data[done + same:done + same + step] == stream[at + done + same:at + done + same + step]:
                same += min(step, len(data) - done - same)
            else:
                step //= 2
        if same >= 8:
            out.append({key: [at + done, same]})
            done += same
            continue
        run = len(data) - done - len(data[done:].lstrip(data[done:done + 1]))
        if run >= 8:
            out.append({"repeat": [data[done], run]})
            done += run
        else:
            out.append({"hex": data[done:done + 8].hex()})
            done += len(data[done:done + 8])
    return out


def pieces(data):
    """A stream as text and runs of the pattern."""
    out, text = [], b""
    at = 0
    while at < len(data):
        run = run_at(data, at)
        if run is None:
            text += data[at:at + 1]
            at += 1
            continue
        if text:
            out.append(text.decode())
            text = b""
        out.append({"pattern": list(run)})
        at += run[1]
    if text:
        out.append(text.decode())
    return out


def run_at(data, at):
    """The longest run of the pattern here, as (from, length); the pattern repeats itself after 64 KiB, so from is below that."""
    head = data[at:at + 64]
    if plain(head) and len(head) < 64 or len(head) < 8:
        return None
    doubled = PERIOD + PERIOD[:64]
    best, start = None, doubled.find(head)
    # Short runs stand in several places of it.
    while start >= 0 and (best is None or best[1] < len(data) - at):
        length = run_from(start, data, at)
        if best is None or length > best[1]:
            best = (start, length)
        start = doubled.find(head, start + 1)
    return best


def run_from(start, data, at):
    """How many bytes from there on are those of the pattern from `start` on."""
    length = 0
    left = len(data) - at
    while length < left:
        step = min(65536 - (start + length) % 65536, left - length)
        offset = (start + length) % 65536
        chunk = data[at + length:at + length + step]
        if PERIOD[offset:offset + step] == chunk:
            length += step
            continue
        same = 0
        while same < step and PERIOD[offset + same] == chunk[same]:
            same += 1
        return length + same
    return length
