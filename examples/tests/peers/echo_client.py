"""Clients of an echo server on CPython's asyncio, all at once. Prints what each of them found: echo_client.py PORT, or with the path of a Unix socket"""
import asyncio
import random
import sys

MIB = 1 << 20


async def stream(place, size):
    """Sends in pieces, waits while the transport is full, finishes its half, and reads to the end."""
    message = random.Random(size).randbytes(size)
    if place.startswith("/"):
        reader, writer = await asyncio.open_unix_connection(place)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", place)

    async def send():
        at = 0
        while at < size:
            writer.write(message[at : at + 100_000])
            await writer.drain()
            at += 100_000
        writer.write_eof()

    sending = asyncio.create_task(send())
    assert await reader.read() == message
    await sending
    writer.close()
    await writer.wait_closed()
    return "%d bytes came back" % size


class Protocol(asyncio.Protocol):
    """One large write without any waiting, from connection_made, and writelines after it."""

    def __init__(self, message, lost):
        self.message, self.lost = message, lost
        self.received, self.eof = bytearray(), False

    def connection_made(self, transport):
        transport.write(self.message[: MIB])
        transport.writelines([self.message[MIB : 2 * MIB], b"", self.message[2 * MIB :]])
        transport.write_eof()

    def data_received(self, data):
        self.received += data

    def eof_received(self):
        self.eof = True

    def connection_lost(self, error):
        self.lost.set_result((error, self.eof, bytes(self.received) == self.message))


async def protocol(place):
    loop = asyncio.get_running_loop()
    lost = loop.create_future()
    message = random.Random(place).randbytes(3 * MIB)
    if place.startswith("/"):
        await loop.create_unix_connection(lambda: Protocol(message, lost), place)
    else:
        await loop.create_connection(lambda: Protocol(message, lost), "127.0.0.1", place)
    assert await lost == (None, True, True)
    return "the protocol is content"


async def main():
    place = sys.argv[1]
    sizes = 0, 1, 65_536, 1_000_000, 8 * MIB
    for line in await asyncio.gather(*(stream(place, size) for size in sizes), protocol(place)):
        print(line)


asyncio.run(main())
