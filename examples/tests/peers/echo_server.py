"""An echo server on CPython's asyncio. Prints where it listens: echo_server.py [PATH]"""
import asyncio
import sys


async def serve(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    if len(sys.argv) > 1:
        server = await asyncio.start_unix_server(serve, sys.argv[1])
        print("listening on unix:" + server.sockets[0].getsockname(), flush=True)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        print("listening on %s:%d" % server.sockets[0].getsockname(), flush=True)
    await server.serve_forever()


asyncio.run(main())
