"""The rows of the matrix for child processes: the callbacks of a child and of its pipes, times what can be done inside of them."""

from cells import text

BIG = "{ pattern = 1000000 }"

# It says something, waits to be told to go on, says more, and ends.
CHILD = '[["write", "stdout", "x"], ["await"], ["write", "stdout", "more"]]'
# The same without a word before that: what is written into a pipe that is closed meanwhile ends a child too.
QUIET = '[["await"], ["write", "stdout", "xmore"]]'
# It reads nothing until it is told to go on.
DEAF = '[["await"], ["drain"]]'

COMMANDS = {
    "close": ('["app", "close"]', ["PROC-13"]),
    "kill": ('["app", "kill"]', ["PROC-11"]),
    "terminate": ('["app", "terminate"]', ["PROC-11"]),
    "write": ('["app.stdin", "write", "hello"]', ["WRITE-13"]),
    "close-stdin": ('["app.stdin", "close"]', ["CLOSE-1"]),
    "pause-stdout": ('["app.stdout", "pause_reading"]', ["READ-5"]),
    "schedule": ('["loop", "call_soon", "later"]', ["LOOP-30"]),
}

# Whose callback it is, and the steps that bring it about.
CALLBACKS = {
    "cm": ("app", "cm", []),
    "data": ("app.stdout", "data", ['["app.stdout", "wait", "data"]']),
    "pause": ("app.stdin", "pause", [f'["app.stdin", "write", {BIG}]', '["app.stdin", "wait", "pause"]']),
    "exited": ("app", "exited", ['["app.stdout", "wait", "data"]', '["peer", "go"]', '["app", "wait", "exited"]']),
    "lost": ("app", "lost", ['["app.stdout", "wait", "data"]', '["peer", "go"]', '["app", "wait", "lost"]']),
}


def files():
    """The name and the text of each file."""
    for callback, (actor, word, steps) in CALLBACKS.items():
        for command, (what, covers) in COMMANDS.items():
            if callback == "pause" and command == "pause-stdout":
                # That child says nothing.
                continue
            if callback == "exited" and command == "write":
                # Whether its stdin is known to be gone by then is not said.
                continue
            late = callback in ("exited", "lost") and command in ("kill", "terminate")
            if late:
                covers = [*covers, "PROC-12"]
                what = f'["app", "{command}", {{ answers = "ProcessGone" }}]'
            steps_of = list(steps)
            app, stdout = ["cm", '["done", "ok"]'], ['["data", "x"]', '["lost", "none"]']
            stdin = ["pause"] if callback == "pause" else []
            ends = command in ("close", "kill", "terminate") and callback in ("cm", "data", "pause")
            if ends:
                app.append(f'["exited", {-15 if command == "terminate" else -9}]')
                stdin.append('["lost", "none"]' if command == "close" else '["lost", "none|broken-pipe"]')
                stdout = ['["lost", "none"]'] if callback == "cm" else ['["data", "x"]', '["lost", "none"]']
            else:
                app.append('["exited", 0]')
                stdout = ['["data", "xmore"]', '["lost", "none"]']
                if (callback, command) == ("exited", "close"):
                    # What it said last may not have been heard yet.
                    stdout[0] = '["data", { prefix = "xmore" }]'
                if callback in ("cm", "data"):
                    if command == "pause-stdout":
                        steps_of += ['["app", "settle"]', '["app.stdout", "resume_reading"]']
                    steps_of.append('["peer", "go"]')
                elif callback == "pause":
                    if command == "close-stdin":
                        stdin.append("resume")
                    steps_of.append('["peer", "go"]')
                    if command != "close-stdin":
                        steps_of += ['["app.stdin", "wait", "resume"]', '["app.stdin", "close"]']
                        stdin.append("resume")
                # It ends with what was written unread.
                stdin.append('["lost", "none|broken-pipe"]' if command == "write" and callback in ("cm", "data") else '["lost", "none"]')
                if callback == "exited" and command == "pause-stdout":
                    # Its end may not have come before the exit.
                    steps_of.append('["app.stdout", "resume_reading"]')
            if callback == "pause":
                stdout = ['["lost", "none"]']
            if callback != "lost":
                steps_of.append('["app", "wait", "lost"]')
            app.append('["lost", "none"]')
            if command == "schedule":
                steps_of.append('["loop", "wait", "soon"]')
            on = f"app.on.{word}" if actor == "app" else f"{actor}.on.{word}"
            lines = [
                f'about = "In `{word}` of {"a child" if actor == "app" else "its " + actor[4:]}: {COMMANDS[command][0].strip("[]").replace(chr(34), "")}."',
                "covers = [" + ", ".join(f'"{c}"' for c in ["RUST-1", *covers]) + "]",
                'link = { kind = "process", stderr = "null" }',
                f"child = { {'pause': DEAF, 'cm': QUIET}.get(callback, CHILD) }",
                f"{on} = [{what}]",
            ]
            if command == "schedule":
                lines.append("job.later = []")
            if not steps_of:
                steps_of.append('["app", "settle"]')
            lines.append("steps = [\n" + "".join(f"  {step},\n" for step in steps_of) + "]")
            lines.append("expect.app = " + text(app))
            lines.append('expect."app.stdin" = ' + text(stdin))
            lines.append('expect."app.stdout" = ' + text(stdout))
            if command == "schedule":
                lines.append('expect.loop = [["soon", "later"]]')
            if (callback, command) == ("pause", "close"):
                for who in ("asyncio", "uvloop"):
                    lines += [
                        "",
                        f"[departs.{who}]",
                        'why = "finding: what is queued for the stdin of a child that is closed is flushed, to a reader that is gone"',
                        'expect."app.stdin" = ["pause", ["lost", "broken-pipe"]]',
                    ]
            if late:
                answered = f'["answered", "{command}", "Done"]'
                app.insert(app.index('["lost", "none"]') + (callback == "lost"), answered)
                lines += ["", "[departs.asyncio]", 'why = "DIS-38: a signal is sent until the child is lost"', "expect.app = " + text(app)]
            yield f"child-{callback}-{command}", lines
