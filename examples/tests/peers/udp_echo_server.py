"""A UDP echo server on CPython's asyncio, until it is killed."""

import asyncio


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
        print("listening on %s:%d" % transport.get_extra_info("sockname"), flush=True)

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    await asyncio.sleep(60)


asyncio.run(main())
