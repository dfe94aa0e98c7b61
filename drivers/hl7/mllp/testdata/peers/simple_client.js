// A client of simple-hl7 that sends one message and prints MSA-1 and MSA-2.
const hl7 = require('simple-hl7')
const client = hl7.Server.createTcpClient('127.0.0.1', Number(process.argv[2]))
const text = 'MSH|^~\\&|SIMPLE|X|RAYHOUND|Y|20261124||ORM^O01|S1|P|2.3.1\rPID|||1||Müller^Bella\r'
client.send(new hl7.Parser({ segmentSeperator: '\r' }).parse(text), (err, ack) => {
  if (err) throw err
  const msa = ack.getSegment('MSA')
  console.log('ANSWER', String(msa.getField(1)), String(msa.getField(2)))
  process.exit(0)
})
