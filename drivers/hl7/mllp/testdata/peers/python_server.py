# A server of python3-hl7 that acknowledges and prints MSH-10 and PID-5.1.
import asyncio, sys, hl7
from hl7.mllp import start_hl7_server
async def cb(r, w):
    try:
        while not w.is_closing():
            m = await r.readmessage()
            print("GOT", m["MSH.F10"], m["PID.F5.R1.C1"], flush=True)
            w.writemessage(m.create_ack())
            await w.drain()
    except asyncio.IncompleteReadError:
        w.close()
async def main():
    s = await start_hl7_server(cb, port=int(sys.argv[1]), encoding="utf-8")
    async with s:
        await s.serve_forever()
asyncio.run(main())
