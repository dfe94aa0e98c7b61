// A server of simple-hl7 that acknowledges. It answers only the first of two
// messages in one read, and calls every answer version 2.3.
const hl7 = require('simple-hl7')
const app = hl7.tcp()
app.use((req, res, next) => {
  console.log('GOT', String(req.msg.header.getField(8)), String(req.msg.getSegment('PID').getComponent(5, 1)))
  next()
})
app.use((req, res) => res.end())
app.use((err, req, res, next) => { console.log('ERR', err.message); res.end() })
app.start(Number(process.argv[2]), 'utf-8')
