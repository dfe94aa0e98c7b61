// A client of node-hl7-client that sends one message and prints MSA-1 and MSA-2.
const { Client, Message } = require('node-hl7-client')
const client = new Client({ host: '127.0.0.1' })
const c = client.createConnection({ port: Number(process.argv[2]) }, async (res) => {
  const m = res.getMessage()
  console.log('ANSWER', m.get('MSA.1').toString(), m.get('MSA.2').toString())
  await c.close()
  process.exit(0)
})
const text = 'MSH|^~\\&|NODE|X|RAYHOUND|Y|20261124||ORM^O01^ORM_O01|N1|P|2.5.1\rPID|||1||Müller^Bella'
c.sendMessage(new Message({ text }))
