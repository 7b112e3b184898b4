"""UDP peers on CPython's asyncio: `udp_echo_client.py PORT` sends datagrams of many sizes from many endpoints, and wants each of them back."""

import asyncio
import sys

SIZES = [1, 64, 1400, 9000, 65507, 0]


class Peer(asyncio.DatagramProtocol):
    def __init__(self):
        self.came = asyncio.Queue()
        self.said = []

    def datagram_received(self, data, addr):
        self.came.put_nowait(data)

    def error_received(self, error):
        self.came.put_nowait(error)


async def echoed(transport, peer, message):
    """Sends it until it comes back: a kernel that is short of room loses datagrams, on the loopback too."""
    for _ in range(20):
        transport.sendto(message)
        try:
            while (came := await asyncio.wait_for(peer.came.get(), 1)) != message:
                # One that was sent twice comes back twice; anything else is wrong.
                assert isinstance(came, bytes) and came in peer.said, came
            peer.said.append(message)
            return
        except asyncio.TimeoutError:
            continue
    raise AssertionError(f"{len(message)} bytes never came back")


async def talk(port, n):
    loop = asyncio.get_running_loop()
    transport, peer = await loop.create_datagram_endpoint(Peer, remote_addr=("127.0.0.1", port))
    for size in SIZES:
        # Before 3.13 asyncio does not send empty datagrams.
        if size == 0 and sys.version_info < (3, 13):
            continue
        message = bytes((n + 31 * k) % 256 for k in range(size))
        await echoed(transport, peer, message)
    transport.close()


async def main():
    await asyncio.gather(*(talk(int(sys.argv[1]), n) for n in range(20)))
    print("fine")


asyncio.run(main())
