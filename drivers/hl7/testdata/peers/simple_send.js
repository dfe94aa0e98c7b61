// A client of simple-hl7: sends the message of a file to a port and prints MSA-1
// and MSA-2 of the answer.
const fs = require('fs')
const hl7 = require('simple-hl7')
const client = hl7.Server.createTcpClient('127.0.0.1', Number(process.argv[2]))
const text = fs.readFileSync(process.argv[3], 'utf8')
client.send(new hl7.Parser({ segmentSeperator: '\r' }).parse(text), (err, ack) => {
  if (err) throw err
  const msa = ack.getSegment('MSA')
  console.log('ANSWER', String(msa.getField(1)), String(msa.getField(2)))
  process.exit(0)
})
