// A server of node-hl7-server that acknowledges.
const { Server } = require('node-hl7-server')
const server = new Server({ bindAddress: '127.0.0.1' })
server.createInbound({ port: Number(process.argv[2]) }, async (req, res) => {
  const m = req.getMessage()
  console.log('GOT', m.get('MSH.10').toString(), m.get('PID.5.1').toString())
  await res.sendResponse('AA')
})
