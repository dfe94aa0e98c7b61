// A client of node-hl7-client: sends the message of a file to a port and prints
// MSA-1 and MSA-2 of the answer.
const fs = require('fs')
const { Client, Message } = require('node-hl7-client')
const client = new Client({ host: '127.0.0.1' })
const c = client.createConnection({ port: Number(process.argv[2]) }, async (res) => {
  const m = res.getMessage()
  console.log('ANSWER', m.get('MSA.1').toString(), m.get('MSA.2').toString())
  await c.close()
  process.exit(0)
})
c.sendMessage(new Message({ text: fs.readFileSync(process.argv[3], 'utf8').trim() }))
