#!/usr/bin/env python3
"""Plays scenario files on CPython's asyncio, or on uvloop, and prints what happened: one line of JSON a file and kind.

    python3 run.py [--loop asyncio|uvloop] [--record] [--patience SECONDS] [FILES]

Without files: every scenario of the suite. `--record` writes recorded/LOOP.jsonl instead of printing. It does not judge: the Rust runner does.
Needs Python 3.11 and nothing else.
"""

import argparse
import asyncio
import json
import os
import pathlib
import sys
import time
import tomllib

from player import DEADLINE, Player

HERE = pathlib.Path(__file__).resolve().parent
SCENARIOS = HERE.parent / "scenarios"


def policy(name):
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop, f"uvloop {uvloop.__version__}"
    return asyncio.SelectorEventLoop, f"CPython {sys.version.split()[0]}"


def play(path, who, new_loop, version, patience):
    """The same scenario on each of its kinds of connections."""
    with open(path, "rb") as file:
        scenario = tomllib.load(file)
    kinds = scenario["link"]["kind"]
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        line = {"id": scenario["id"], "kind": kind, "version": version}
        began = time.perf_counter()
        player = Player(scenario, kind, who, patience)
        line.update(crashing(player, new_loop) if player.may_crash else player.run(new_loop))
        line["ms"] = round((time.perf_counter() - began) * 1000, 3)
        yield line


def crashing(player, new_loop):
    """Plays in a process of its own what may end the process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        # What the loop has to say about it is of no use here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with open(writer, "w", encoding="utf-8") as out:
            json.dump(player.run(new_loop), out)
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as out:
        text = out.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"status": "played", "lanes": {"host": [["crashed"]]}, "streams": {}, "order": []}
    return json.loads(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--record", action="store_true", help="write recorded/LOOP.jsonl")
    parser.add_argument("--patience", type=float, default=DEADLINE, help="how many seconds a step may take before it is stuck")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    if sys.version_info < (3, 11):
        sys.exit(f"Python {sys.version.split()[0]} is older than 3.11")
    new_loop, version = policy(options.loop)
    files = options.files or sorted(SCENARIOS.rglob("*.toml"))
    # What a loop opens once for the whole process is not to be counted with the first file.
    loop = new_loop()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    # uvloop prints what it fails to send: it has no place among the lines.
    out, sys.stdout = sys.stdout, sys.stderr
    if options.record:
        target = HERE / "recorded" / f"{options.loop}.jsonl"
        target.parent.mkdir(exist_ok=True)
        out = open(target, "w", encoding="utf-8")
    for line in (line for path in files for line in play(path, options.loop, new_loop, version, options.patience)):
        if options.record:
            # Another run has others.
            for key in ("ms", "order"):
                line.pop(key, None)
        print(json.dumps(line, ensure_ascii=False, sort_keys=True), file=out, flush=True)


if __name__ == "__main__":
    main()
