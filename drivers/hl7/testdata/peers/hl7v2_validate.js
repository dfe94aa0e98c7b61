// Judges messages by the dictionary of hl7v2: the files named as arguments. It
// prints one line for each complaint, "file: place: complaint", and "N messages".
const fs = require('fs')
const { HL7Message } = require('hl7v2')

const complaints = []
let name
const say = (place, text) => complaints.push(`${name}: ${place}: ${text}`)

// structure walks the segments along the definition of the message. Z segments
// may stand anywhere.
function structure (m) {
  const [code, event] = m.messageType.split('^')
  const def = m.dictionary.messages[`${code}_${event}`]
  if (!def) return say('MSH-9', `no message ${m.messageType} in ${m.version}`)
  const list = m.segments.map((s) => s.segmentType).filter((t) => t[0] !== 'Z')
  let at = 0
  const entries = (d) => Object.entries(d).sort(([, a], [, b]) => (a.idx || 0) - (b.idx || 0))
  const begins = (d) => {
    for (const [key, x] of entries(d)) {
      if (x.segments ? begins(x.segments) : key.split(',').includes(list[at])) return true
      if (x.min) return false
    }
    return false
  }
  const walk = (d, where) => {
    for (const [key, x] of entries(d)) {
      let n = 0
      while (n < (x.max || Infinity) && at < list.length) {
        if (x.segments ? !begins({ [key]: { ...x, min: 0 } }) : !key.split(',').includes(list[at])) break
        const before = at
        if (x.segments) walk(x.segments, key); else at++
        if (at === before) break
        n++
      }
      if (n < (x.min || 0)) say(where, `${key} is missing, before ${list[at] || 'the end'}`)
    }
  }
  walk(def.segments, m.messageType)
  if (at < list.length) say(m.messageType, `${list[at]} stands at the wrong place`)
}

function fields (m) {
  const seen = {}
  for (const s of m.segments) {
    seen[s.segmentType] = (seen[s.segmentType] || 0) + 1
    if (s.segmentType[0] === 'Z') continue
    const def = s.definition && s.definition.fields
    if (!def) { say(s.segmentType, 'unknown segment'); continue }
    const raw = s.toHL7String().split(m.fieldSeparator)
    const text = (p) => (s.segmentType === 'MSH' ? raw[p - 1] : raw[p]) || ''
    for (const [p, d] of Object.entries(def)) {
      if (s.segmentType === 'MSH' && p < 3) continue
      const t = text(Number(p))
      const place = `${s.segmentType}-${p}`
      if (d.opt === 'R' && t === '') say(place, 'required')
      if (t === '') continue
      const reps = t.split(m.repetitionSeparator)
      if ((d.rep || 1) !== 'infinite' && reps.length > (d.rep || 1)) say(place, `${reps.length} repetitions`)
      for (const r of reps) {
        if (d.len && r.length > d.len) say(place, `${r.length} characters, at most ${d.len}`)
        const type = m.dictionary.types[d.type]
        const parts = Object.keys((type && type.fields) || {}).length || 1
        const n = r.split(m.componentSeparator).length
        if (n > parts && d.type !== 'varies') say(place, `${n} components of ${d.type}, at most ${parts}`)
      }
    }
    const last = Math.max(...Object.keys(def).map(Number))
    for (let p = last + 1; p <= raw.length + 1; p++) if (text(p) !== '') say(`${s.segmentType}-${p}`, `not in version ${m.version}`)
  }
}

let n = 0
for (const file of process.argv.slice(2)) {
  name = file.replace(/^.*\//, '')
  try {
    const m = HL7Message.parse(fs.readFileSync(file))
    structure(m)
    fields(m)
    n++
  } catch (e) {
    say(e.segmentType || 'message', e.message)
  }
}
for (const c of complaints) console.log(c)
console.log(`${n} messages`)
