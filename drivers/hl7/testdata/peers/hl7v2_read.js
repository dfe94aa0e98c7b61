// Reads a message with hl7v2 and prints its leaves: [segment, field, repetition,
// component, subcomponent, text].
const fs = require('fs')
const { HL7Message } = require('hl7v2')
const raw = fs.readFileSync(process.argv[2])
const m = HL7Message.parse(raw)
const out = []
m.segments.forEach((s, i) => {
  s.fields.forEach((f) => {
    if (!f || (i === 0 && f.position < 3)) return
    f.repetitions.forEach((r, ri) => r.components.forEach((c) => {
      if (!c) return
      const subs = c.isPrimitive ? [c._data] : c.subComponents
      subs.forEach((sub) => {
        const v = sub && sub.value
        if ((typeof v === 'string' || typeof v === 'number') && v !== '') out.push([s.segmentType, i, f.position, ri + 1, c.position, sub.position && sub !== c ? sub.position : 1, String(v)])
      })
    }))
  })
})
console.log(JSON.stringify(out))
