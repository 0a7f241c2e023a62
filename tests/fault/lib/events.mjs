// Random events: sizes from nothing to 20 kB, every kind of JSON text that a careless hand would change on
// the way (numbers beyond doubles, escapes, spaces, other scripts).

const awkward = [
  'null',
  'true',
  '""',
  '{}',
  '[]',
  '9007199254740993',
  '-0',
  '1.0',
  '1e21',
  '1E+2',
  '0.1e-7',
  '123456789012345678901234567890.00',
  '"\\u2028\\u2029"',
  '"\u2028\u2029"',
  '"\\ud83d\\ude00 \u{1f600} \\u00e9 é e\u0301"',
  '"\\/ / \\\\ \\" \\b\\f\\n\\r\\t"',
  '{ "spaces" :\t1 ,\n "more" : [ 1 , 2 ] }',
  '{"b":1,"a":2,"":3,"__proto__":{"x":1},"ключ":"значение"}',
  '[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]',
  '"\\u0000\\u001f"',
]

const words = ['todo', 'naïve', 'Straße', 'наука', '数据', '🙂', '👩‍👩‍👧', 'é', '\u202e', '-', '0', '\\"', '\\\\', '\\u00fc', ' ']

/** Text for a JSON string, without its quotes, of about `bytes` bytes. */
const longText = (random, bytes) => {
  let piece = ''
  for (let i = 0; i < 24; i++) piece += random.pick(words)
  return piece.repeat(Math.ceil(bytes / Buffer.byteLength(piece)))
}

/** JSON text: now and then an awkward one, mostly small objects, sometimes up to `bytesMax`. */
export const randomArgs = (random, bytesMax = 20_000) => {
  if (random.chance(0.25)) return random.pick(awkward)
  const bytes = random.chance(0.15) ? random.integer(1000, bytesMax - 500) : random.integer(0, 300)
  return `{"id":${random.integer(0, 1e9)},"text":"${longText(random, bytes)}","done":${random.chance(0.5)}}`
}

const names = ['v1.TodoCreated', 'v1.TodoCompleted', 'x', 'имя', '名前🙂', 'with "quotes" and \\ and \n']

/**
 * `count` events that chain onto `parent`, some with gaps in their numbers. `mark` becomes their sessionId:
 * the journal knows them by it.
 */
export const randomEvents = (random, { count, parent, clientId, mark, argsBytesMax }) => {
  const events = []
  let parentSeqNum = parent
  for (let i = 0; i < count; i++) {
    const seqNum = parentSeqNum + (random.chance(0.05) ? random.integer(2, 1000) : 1)
    events.push({
      name: random.pick(names),
      args: randomArgs(random, argsBytesMax),
      seqNum,
      parentSeqNum,
      clientId,
      sessionId: mark,
    })
    parentSeqNum = seqNum
  }
  return events
}

/** `count` plain events of `argsBytes` bytes each, chained onto `parent`. */
export const plainEvents = ({ count, parent, argsBytes, mark = 'plain', gap = 1 }) => {
  const events = []
  let parentSeqNum = parent
  for (let i = 0; i < count; i++) {
    const seqNum = parentSeqNum + gap
    const start = `{"n":${seqNum},"text":"`
    const args = start + 'x'.repeat(Math.max(0, argsBytes - start.length - 2)) + '"}'
    events.push({ name: 'v1.Plain', args, seqNum, parentSeqNum, clientId: 'client', sessionId: mark })
    parentSeqNum = seqNum
  }
  return events
}

export const lastSeqNum = (events) => events[events.length - 1].seqNum
