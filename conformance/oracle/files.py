"""Files that are sent. The counterpart of src/scenario/disk.rs."""

import asyncio
import tempfile

from errors import error_class


class Begun:
    """A coroutine that has had its first step already, and is awaited for the rest."""

    def __init__(self, coroutine):
        self.coroutine = coroutine
        self.first = coroutine.send(None)

    def __await__(self):
        waiting = self.first
        while True:
            try:
                yield waiting
            except BaseException as error:  # noqa: BLE001 - it is passed on
                step, argument = self.coroutine.throw, error
            else:
                step, argument = self.coroutine.send, None
            try:
                waiting = step(argument)
            except StopIteration as end:
                return end.value


class Files:
    """The part of a player that sends files."""

    def sendfile(self, live, contents, part):
        file = tempfile.TemporaryFile(buffering=0)
        file.write(contents)
        file.seek(0)
        start, count = part.get("from", 0), part.get("count")
        coroutine = self.loop.sendfile(live.transport, file, start, count)
        # What it refuses at once is an answer, as it is of other commands.
        try:
            rest = Begun(coroutine)
        except StopIteration as end:
            rest = asyncio.sleep(0, end.value)
        except BaseException:
            file.close()
            raise
        streams = self.record.streams(live.name)
        streams["written"] += contents[start:] if count is None else contents[start : start + count]
        live.file = file
        self.sent_files.append(file)

        async def finish():
            try:
                sent = await rest
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the class of it is what counts
                sent = error_class(error)
            live.protocol.called("sent", sent)

        self.tasks.append(self.loop.create_task(finish()))
        return "Done"
