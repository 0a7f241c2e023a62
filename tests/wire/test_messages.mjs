// Messages that are wrong: what each is answered, over WebSocket and over HTTP. The answer names the
// problem, the socket goes on, and nobody else notices.
import assert from 'node:assert/strict'
import test from 'node:test'
import { ask, syncTarget } from './lib/http.mjs'
import { startServer } from './lib/server.mjs'
import {
  Bystander,
  SyncSocket,
  eventText,
  newStore,
  outcome,
  pushOverHttp,
  pullPayload,
  pushPayload,
  requestText,
} from './lib/sync.mjs'
import { OP } from './lib/ws.mjs'

const server = await startServer({ 'log-level': 'error' })
const bystander = await Bystander.open(server)

// ---- how an answer looks ----

const isDefect = (pattern) => (message) => {
  assert.equal(message._tag, 'Defect', JSON.stringify(message))
  assert.match(message.defect, pattern)
}

const dies =
  (pattern, id = 1) =>
  (message) => {
    assert.equal(message.requestId, id)
    const { kind, defect } = outcome(message)
    assert.equal(kind, 'Die', JSON.stringify(message))
    assert.match(defect, pattern)
  }

const fails =
  (pattern, id = 1) =>
  (message) => {
    assert.equal(message.requestId, id)
    const { kind, error } = outcome(message)
    assert.equal(kind, 'Fail', JSON.stringify(message))
    assert.equal(error._tag, 'UnknownError')
    assert.match(error.cause, pattern)
  }

// ---- both ways to send a text ----

const transports = {
  WebSocket: {
    prefix: 'SyncWsRpc',
    live: false,
    async answer(text, storeId) {
      const socket = await SyncSocket.open(server, storeId)
      socket.expect(1)
      socket.expect('1')
      const before = socket.log.length
      socket.send(text)
      await socket.until(() => socket.log.length > before, 'an answer')
      const { message } = socket.log[before]
      const pull = socket.pull({ live: false, id: 'after' })
      assert.ok((await pull.done('a pull on the same socket')).ok)
      socket.close()
      return message
    },
  },
  HTTP: {
    prefix: 'SyncHttpRpc',
    live: undefined,
    async answer(text, storeId) {
      const response = await ask(server, 'POST', syncTarget(storeId), { body: text })
      const messages = response.json()
      assert.equal(messages.length, 1)
      // The clients look at the body alone; the status is for people and proxies.
      assert.ok([200, 400, 413].includes(response.status), response.text)
      return messages[0]
    },
  },
}

// `text` may be a function of { prefix, live, storeId }.
function refuses(name, text, check, only = Object.keys(transports)) {
  for (const transport of only) {
    const { prefix, live, answer } = transports[transport]
    test(`${name} (${transport})`, async () => {
      const storeId = newStore('messages')
      const made = typeof text === 'function' ? text({ prefix, live, storeId }) : text
      check(await answer(made, storeId))
      await bystander.check()
    })
  }
}

// ---- not JSON ----

const NOT_JSON = {
  'an empty text': '',
  'only white space': ' \t\r\n ',
  'a word': 'hello',
  'a cut object': '{"_tag":"Ping"',
  'a cut string': '{"_tag":"Pi',
  'a cut literal': 'tru',
  'two values': '{"_tag":"Ping"}{"_tag":"Ping"}',
  'a bracket too many': '{"_tag":"Ping"}}',
  'brackets that cross': '[{"_tag":"Ping"]}',
  'a trailing comma in an object': '{"_tag":"Ping",}',
  'a trailing comma in an array': '[{"_tag":"Ping"},]',
  'a leading comma': '{,"_tag":"Ping"}',
  'a key without a value': '{"_tag"}',
  'a key without a colon': '{"_tag" "Ping"}',
  'a missing value': '{"_tag":}',
  'a key that is no string': '{_tag:"Ping"}',
  'single quotes': "{'_tag':'Ping'}",
  'a comment': '{"_tag":"Ping"} // hello',
  'a byte order mark': '\ufeff{"_tag":"Ping"}',
  'a no-break space': '\u00a0{"_tag":"Ping"}',
  'NaN': '{"_tag":"Ping","x":NaN}',
  'Infinity': '{"_tag":"Ping","x":-Infinity}',
  'a leading zero': '{"_tag":"Ping","x":01}',
  'a leading plus': '{"_tag":"Ping","x":+1}',
  'a bare point': '{"_tag":"Ping","x":1.}',
  'no digit before the point': '{"_tag":"Ping","x":.5}',
  'an exponent without digits': '{"_tag":"Ping","x":1e+}',
  'two minus signs': '{"_tag":"Ping","x":--1}',
  'a hexadecimal number': '{"_tag":"Ping","x":0x1F}',
  'an unknown escape': '{"_tag":"Ping","x":"\\x41"}',
  'a short unicode escape': '{"_tag":"Ping","x":"\\u12"}',
  'a unicode escape with a wrong digit': '{"_tag":"Ping","x":"\\u12g4"}',
  'a raw tab in a string': '{"_tag":"Ping","x":"a\tb"}',
  'a raw newline in a string': '{"_tag":"Ping","x":"a\nb"}',
  'a raw NUL in a string': '{"_tag":"Ping","x":"a\0b"}',
  'a NUL after the value': '{"_tag":"Ping"}\0',
}
for (const [name, text] of Object.entries(NOT_JSON)) {
  refuses(`not JSON: ${name}`, text, isDefect(/at byte \d+/))
}

// ---- not UTF-8 ----

const bytes = (...values) => Buffer.from(values)
const NOT_UTF8 = {
  'a character cut at the end': bytes(0xe2, 0x82),
  'a lone continuation byte': bytes(0x80),
  'an overlong NUL': bytes(0xc0, 0x80),
  'an overlong slash': bytes(0xe0, 0x80, 0xaf),
  'an encoded surrogate': bytes(0xed, 0xa0, 0x80),
  'a character past U+10FFFF': bytes(0xf4, 0x90, 0x80, 0x80),
  'a byte that is never UTF-8': bytes(0xff),
}
for (const [name, wrong] of Object.entries(NOT_UTF8)) {
  const inside = Buffer.concat([Buffer.from('{"_tag":"Ping","x":"'), wrong, Buffer.from('"}')])
  const atTheEnd = Buffer.concat([Buffer.from('{"_tag":"Ping","x":"'), wrong])

  test(`not UTF-8: ${name} closes a WebSocket with 1007`, async () => {
    for (const payload of [inside, atTheEnd]) {
      const socket = await SyncSocket.open(server, newStore('utf8'))
      socket.ws.sendFrame(OP.text, payload)
      const { code, reason } = await socket.untilClosed()
      assert.equal(code, 1007)
      assert.match(reason, /UTF-8/)
    }
    await bystander.check()
  })

  test(`not UTF-8: ${name} is a defect over HTTP`, async () => {
    for (const body of [inside, atTheEnd]) {
      const response = await ask(server, 'POST', syncTarget(newStore('utf8')), { body })
      assert.equal(response.status, 400)
      isDefect(/UTF-8/)(response.json()[0])
    }
    await bystander.check()
  })
}

// ---- repeated keys ----

const push =
  (events) =>
  ({ prefix, storeId }) =>
    requestText(1, `${prefix}.Push`, pushPayload(storeId, events))
const REPEATED = {
  'in a message': '{"_tag":"Ping","_tag":"Ping"}',
  'in a message, once with escapes': '{"_tag":"Ping","\\u005ftag":"Pong"}',
  'in an unknown field': '{"_tag":"Ping","x":{"a":1,"b":2,"a":3}}',
  'in an event': push([eventText({ seq: 1 }).replace('{', '{"seqNum":7,')]),
  'in an event, once with escapes': push([eventText({ seq: 1 }).replace('{', '{"seq\\u004eum":7,')]),
  'in args': push([eventText({ seq: 1, args: '{"a":1,"a":2}' })]),
  'in args, once with escapes': push([eventText({ seq: 1, args: '{"\\u0061":1,"a":2}' })]),
  'deep in args': push([eventText({ seq: 1, args: '[[{"k":[{"é":1,"\\u00e9":1}]}]]' })]),
  'by a surrogate pair': push([eventText({ seq: 1, args: '{"😀":1,"\\ud83d\\ude00":1}' })]),
  'the empty key': push([eventText({ seq: 1, args: '{"":1,"":1}' })]),
}
for (const [name, text] of Object.entries(REPEATED)) {
  refuses(`a repeated key ${name}`, text, isDefect(/key/i))
}

// ---- JSON, but not a message ----

const NOT_MESSAGES = {
  'null': 'null',
  'a number': '42',
  'a string': '"str"',
  'true': 'true',
  'an empty array': '[]',
  'an array in an array': '[[{"_tag":"Ping"}]]',
  'an array of null': '[null]',
  'an empty object': '{}',
  'a _tag that is a number': '{"_tag":1}',
  'a _tag that is null': '{"_tag":null}',
  'a _tag that is an object': '{"_tag":{"_tag":"Ping"}}',
  'an unknown _tag': '{"_tag":"Nope"}',
  'a _tag in other letters': '{"_tag":"ping"}',
  'a _tag of the server': '{"_tag":"Chunk","values":[]}',
  'a Request without an id': '{"_tag":"Request","tag":"SyncWsRpc.Pull","payload":{}}',
  'a request id that is null': '{"_tag":"Request","id":null,"tag":"SyncWsRpc.Pull"}',
  'a request id that is true': '{"_tag":"Request","id":true,"tag":"SyncWsRpc.Pull"}',
  'a request id that is an object': '{"_tag":"Request","id":{},"tag":"SyncWsRpc.Pull"}',
  'a request id that is an array': '{"_tag":"Request","id":[1],"tag":"SyncWsRpc.Pull"}',
  'a request id of 129 bytes': `{"_tag":"Request","id":"${'x'.repeat(127)}","tag":"SyncWsRpc.Pull"}`,
  'an Ack without a request id': '{"_tag":"Ack"}',
  'an Ack of null': '{"_tag":"Ack","requestId":null}',
  'an Interrupt of an array': '{"_tag":"Interrupt","requestId":[]}',
}
for (const [name, text] of Object.entries(NOT_MESSAGES)) {
  refuses(`not a message: ${name}`, text, isDefect(/./))
}
refuses('an unknown _tag with an id dies alone', '{"_tag":"Nope","id":1}', dies(/_tag/))
refuses('a Request without a tag dies alone', '{"_tag":"Request","id":1,"payload":{}}', dies(/tag/))
refuses('a Request whose tag is a number', '{"_tag":"Request","id":1,"tag":5}', dies(/tag/))
refuses(
  'an unknown procedure is named',
  ({ prefix }) => requestText(1, `${prefix}.Nope`, '{}'),
  dies(/unknown procedure .*Nope/),
)
refuses(
  'an unknown procedure dies alone in the v3 dialect',
  ({ prefix }) => requestText('1', `${prefix}.Nope`, '{}'),
  dies(/unknown procedure .*Nope/, '1'),
)
refuses('a procedure of HTTP', requestText(1, 'SyncHttpRpc.Ping', '{}'), dies(/Ping/), ['WebSocket'])
refuses('a procedure of WebSockets', requestText(1, 'SyncWsRpc.Pull', '{}'), dies(/Pull/), ['HTTP'])
refuses('a procedure without a name', requestText(1, '', '{}'), dies(/procedure/))
refuses(
  'a procedure whose name has 100,000 bytes',
  requestText(1, 'é'.repeat(50_000), '{}'),
  dies(/^unknown procedure (é)+$/),
)
refuses(
  'a procedure whose name is full of escapes',
  requestText(1, '\\u0000\\"\\\\<script>', '{}'),
  dies(/unknown procedure/),
)

// ---- payloads ----

const call =
  (procedure, payload) =>
  ({ prefix }) =>
    requestText(1, `${prefix}.${procedure}`, payload)
const pullWith =
  (cursor) =>
  ({ prefix, live, storeId }) => {
    const liveText = live === undefined ? '' : `"live":${live},`
    const payload = `{"storeId":"${storeId}",${liveText}"cursor":${cursor}}`
    return requestText(1, `${prefix}.Pull`, payload)
  }
const cursorOf = (value) => pullWith(`{"_tag":"Some","value":${value}}`)

for (const payload of ['null', '[]', '5', '"x"', 'true']) {
  refuses(`a Pull whose payload is ${payload}`, call('Pull', payload), dies(/payload/))
  refuses(`a Push whose payload is ${payload}`, call('Push', payload), dies(/payload/))
}
refuses(
  'a Request without a payload',
  ({ prefix }) => `{"_tag":"Request","id":1,"tag":"${prefix}.Pull"}`,
  dies(/payload/),
)
refuses('a Pull without a storeId', call('Pull', '{"live":false,"cursor":{"_tag":"None"}}'), dies(/storeId/))
refuses('a Pull of a storeId that is a number', call('Pull', '{"storeId":1}'), dies(/storeId/))
refuses(
  'a Pull of another store than the URL names',
  ({ prefix, live }) => requestText(1, `${prefix}.Pull`, pullPayload('bystander', { live })),
  dies(/storeId/),
)
refuses(
  'a Ping of another store than the URL names',
  requestText(1, 'SyncHttpRpc.Ping', '{"storeId":"another"}'),
  dies(/storeId/),
  ['HTTP'],
)
refuses('a Ping without a store', requestText(1, 'SyncHttpRpc.Ping', 'null'), dies(/payload/), ['HTTP'])
refuses(
  'a Push to another store than the URL names',
  ({ prefix }) => requestText(1, `${prefix}.Push`, pushPayload('bystander', [eventText({ seq: 1 })])),
  dies(/storeId/),
)
for (const live of ['"true"', '1', 'null', '{}']) {
  refuses(
    `a Pull whose live is ${live}`,
    ({ storeId }) =>
      requestText(1, 'SyncWsRpc.Pull', `{"storeId":"${storeId}","live":${live},"cursor":{"_tag":"None"}}`),
    dies(/live/),
    ['WebSocket'],
  )
}
refuses(
  'a Pull without live',
  ({ storeId }) => requestText(1, 'SyncWsRpc.Pull', pullPayload(storeId)),
  dies(/live/),
  ['WebSocket'],
)
refuses(
  'a Pull without a cursor',
  ({ prefix, storeId }) => requestText(1, `${prefix}.Pull`, `{"storeId":"${storeId}","live":false}`),
  dies(/cursor/),
)
const CURSORS = ['null', '5', '"None"', '[]', '{}', '{"_tag":"Nope"}', '{"_tag":1}', '{"_tag":"Some"}']
for (const cursor of CURSORS) {
  refuses(`a cursor that is ${cursor}`, pullWith(cursor), dies(/cursor/))
}
for (const value of ['null', '5', '[]', '{}', '{"backendId":"x"}', '{"eventSequenceNumber":1}']) {
  refuses(`a cursor whose value is ${value}`, cursorOf(value), dies(/cursor\.value/))
}
for (const number of ['"1"', '-1', '1.5', '1.0', '1e3', '9007199254740992', '1e400', 'true', 'null', '[]']) {
  refuses(
    `a cursor whose sequence number is ${number}`,
    cursorOf(`{"backendId":"x","eventSequenceNumber":${number}}`),
    dies(/eventSequenceNumber.*2\^53-1/),
  )
}
for (const id of ['5', 'null', '{}']) {
  refuses(
    `a cursor whose backend id is ${id}`,
    cursorOf(`{"backendId":${id},"eventSequenceNumber":1}`),
    dies(/cursor\.value\.backendId/),
  )
}

const pushWith =
  (batch, backendId = '{"_tag":"None"}') =>
  ({ prefix, storeId }) =>
    requestText(1, `${prefix}.Push`, `{"storeId":"${storeId}","batch":${batch},"backendId":${backendId}}`)
for (const batch of ['null', '{}', '"x"', '5']) {
  refuses(`a batch that is ${batch}`, pushWith(batch), dies(/batch must be an array/))
}
for (const event of ['null', '5', '"x"', '[]']) {
  refuses(`an event that is ${event}`, pushWith(`[${event}]`), dies(/batch\[0\]/))
}
const whole = { name: 'n', args: {}, seqNum: 1, parentSeqNum: 0, clientId: 'c', sessionId: 's' }
for (const field of ['name', 'seqNum', 'parentSeqNum', 'clientId', 'sessionId']) {
  const { [field]: _, ...without } = whole
  const named = new RegExp(`batch\\[1\\]\\.${field}`)
  const second = { ...whole, seqNum: 2, parentSeqNum: 1 }
  refuses(
    `an event without ${field}, the second of a batch`,
    pushWith(JSON.stringify([whole, { ...without, ...(field === 'seqNum' ? {} : { x: 1 }) }])),
    dies(named),
  )
  for (const wrong of [null, true, [], {}, field.endsWith('Num') ? '1' : 1]) {
    refuses(
      `an event whose ${field} is ${JSON.stringify(wrong)}`,
      pushWith(JSON.stringify([whole, { ...second, [field]: wrong }])),
      dies(named),
    )
  }
}
refuses(
  'a Push without a batch',
  call('Push', '{"storeId":"x","backendId":{"_tag":"None"}}'),
  dies(/batch is missing/),
)
refuses(
  'a Push without a backend id',
  ({ prefix, storeId }) => requestText(1, `${prefix}.Push`, `{"storeId":"${storeId}","batch":[]}`),
  dies(/backendId is missing/),
)
for (const backendId of ['null', '"x"', '{}', '{"_tag":"Some"}', '{"_tag":"Some","value":5}']) {
  refuses(`a Push whose backend id is ${backendId}`, pushWith('[]', backendId), dies(/backendId/))
}

// ---- lone surrogates: legal in JSON text, and so in args; without a UTF-8 form elsewhere ----

const LONE = '"a\\ud800b"'
for (const field of ['name', 'clientId', 'sessionId']) {
  for (const half of ['\\ud800', '\\udc00', '\\ud800\\ud800', '\\udbff\\u0041']) {
    const event = JSON.stringify({ ...whole, [field]: '@' }).replace('"@"', `"x${half}y"`)
    refuses(
      `the lone surrogate ${half} in ${field}`,
      pushWith(`[${event}]`),
      dies(new RegExp(`batch\\[0\\]\\.${field} .*surrogate`)),
    )
  }
}
refuses('a lone surrogate in a storeId', call('Pull', `{"storeId":${LONE}}`), dies(/storeId.*surrogate/))
refuses(
  "a lone surrogate in a push's backend id",
  pushWith('[]', `{"_tag":"Some","value":${LONE}}`),
  dies(/backendId.*surrogate/),
)
refuses(
  "a lone surrogate in a cursor's backend id",
  cursorOf(`{"backendId":${LONE},"eventSequenceNumber":0}`),
  dies(/backendId.*surrogate/),
)
test('a lone surrogate in a request id is echoed', async () => {
  const socket = await SyncSocket.open(server, newStore('ids'))
  const asked = socket.expect('\ud800')
  socket.send(requestText(1, 'SyncWsRpc.Nope', '{}').replace('"id":1', '"id":"\\ud800"'))
  assert.equal((await asked.done()).kind, 'Die')
  socket.close()
  await bystander.check()
})

// ---- rules of the log, which are typed failures ----

const events = (...list) => push(list.map((options) => eventText(options)))
refuses('an event without a name', events({ seq: 1, name: '' }), fails(/batch\[0\]\.name is empty/))
refuses(
  'a batch that descends',
  events({ seq: 2, parent: 0 }, { seq: 1, parent: 2 }),
  fails(/batch\[1\]\.seqNum/),
)
refuses(
  'a batch that repeats an event',
  events({ seq: 1 }, { seq: 1, parent: 1 }),
  fails(/batch\[1\]\.seqNum/),
)
refuses(
  'a batch with a broken chain',
  events({ seq: 1 }, { seq: 2, parent: 77 }),
  fails(/batch\[1\]\.parentSeqNum/),
)
refuses(
  'a batch whose chain skips an event',
  events({ seq: 1 }, { seq: 2 }, { seq: 3, parent: 1 }),
  fails(/batch\[2\]/),
)
refuses('an event that is its own parent', events({ seq: 1, parent: 1 }), fails(/batch\[0\]\.parentSeqNum/))
refuses('an event before its parent', events({ seq: 1, parent: 2 }), fails(/batch\[0\]\.parentSeqNum/))
test('a refused batch stores nothing', async () => {
  const socket = await SyncSocket.open(server, newStore('refused'))
  const batch = [eventText({ seq: 1 }), eventText({ seq: 2 }), eventText({ seq: 4, parent: 3 })]
  assert.equal((await socket.push(batch).done()).ok, false)
  const pull = socket.pull({ live: false })
  await pull.done()
  assert.deepEqual(pull.seqs, [])
  socket.close()
})

// ---- nesting ----

// A Push whose text nests `depth` arrays and objects in all: message, payload, batch and event are
// four of them.
const nested = (depth) => push([eventText({ seq: 1, args: '['.repeat(depth - 4) + ']'.repeat(depth - 4) })])
refuses('args that nest 120 deep are good', nested(124), (message) => assert.ok(outcome(message).ok))
refuses('args that nest 121 deep are refused', nested(125), fails(/args nests 121 .* limit is 120/))
refuses('args that nest 124 deep are refused', nested(128), fails(/args nests 124 .* limit is 120/))
test('what is admitted with the deepest args nests no deeper than 128 in a pull', async () => {
  const depthOf = (value) =>
    value !== null && typeof value === 'object' ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
  const storeId = newStore('deep')
  const args = '['.repeat(120) + ']'.repeat(120)
  assert.ok((await pushOverHttp(server, storeId, [eventText({ seq: 1, args })])).exit.ok)
  const body = requestText(1, 'SyncHttpRpc.Pull', pullPayload(storeId))
  const response = await ask(server, 'POST', syncTarget(storeId), { body })
  assert.equal(depthOf(response.json()), 127)
})
refuses('a nesting of 129 is refused', nested(129), isDefect(/nest|deep|128/))
refuses('a nesting of 100,000 is refused', '['.repeat(100_000), isDefect(/nest|deep|128/))
refuses('objects nested 129 deep', '{"a":'.repeat(129) + '1' + '}'.repeat(129), isDefect(/nest|deep|128/))

// ---- arrays of messages ----

test('an array is answered message by message, in order, also around bad ones', async () => {
  const socket = await SyncSocket.open(server, newStore('array'))
  socket.expect(7)
  const bad = requestText(7, 'SyncWsRpc.Nope', '{}')
  socket.send(`[{"_tag":"Ping"}, null ,{"_tag":"Nope"},${bad},{"_tag":"Ping"}]`)
  await socket.until(() => socket.pongs === 2, 'two Pongs')
  assert.deepEqual(
    socket.log.map(({ kind }) => kind),
    ['Pong', 'Defect', 'Defect', 'Exit', 'Pong'],
  )
  socket.close()
  await bystander.check()
})

test('an array over HTTP is answered in order, pulls and pushes among pings', async () => {
  const storeId = newStore('array')
  const parts = [
    requestText(1, 'SyncHttpRpc.Ping', `{"storeId":"${storeId}"}`),
    requestText('2', 'SyncHttpRpc.Push', pushPayload(storeId, [eventText({ seq: 1 })])),
    requestText(3, 'SyncHttpRpc.Pull', pullPayload(storeId)),
    '{"_tag":"Ping"}',
    'null',
    requestText('4', 'SyncHttpRpc.Pull', pullPayload(storeId)),
  ]
  const { text } = await ask(server, 'POST', syncTarget(storeId), { body: `[${parts.join()}]` })
  const messages = JSON.parse(text)
  assert.deepEqual(
    messages.map(({ _tag, requestId }) => [_tag, requestId]),
    [
      ['Exit', 1],
      ['Exit', '2'],
      ['Chunk', 3],
      ['Exit', 3],
      ['Pong', undefined],
      ['Defect', undefined],
      ['Chunk', '4'],
      ['Exit', '4'],
    ],
  )
  assert.equal(messages[2].values[0].batch.length, 1)
  await bystander.check()
})

test('unknown fields are passed over, at every level', async () => {
  const socket = await SyncSocket.open(server, newStore('extra'))
  const asked = socket.expect(1)
  const event = eventText({ seq: 1 }).replace('{', '{"extra":{"deep":[1,2]},')
  const payload = pushPayload(socket.storeId, [event]).replace('{', '{"payload":{"token":"t"},"x":[],')
  socket.send(requestText(1, 'SyncWsRpc.Push', payload).replace('{', '{"y":{"_tag":"Nope"},'))
  assert.ok((await asked.done()).ok)
  const pull = socket.pull({ live: false })
  await pull.done()
  assert.ok(!('extra' in pull.events[0]))
  socket.close()
})

test('keys may be written with escapes', async () => {
  const socket = await SyncSocket.open(server, newStore('escapes'))
  const asked = socket.expect(1)
  const text = requestText(
    1,
    'SyncWsRpc.Push',
    pushPayload(socket.storeId, [eventText({ seq: 1, args: '5' })]),
  )
  socket.send(
    text.replace('"_tag":"Request"', '"\\u005f\\u0074ag":"\\u0052equest"').replace('"args"', '"\\u0061rgs"'),
  )
  assert.ok((await asked.done()).ok)
  const pull = socket.pull({ live: false })
  await pull.done()
  assert.equal(pull.events[0].argsText, '5')
  socket.close()
})

// ---- request ids ----

test('an id of a request that still runs closes the socket', async () => {
  for (const reuse of ['Pull', 'Push']) {
    const socket = await SyncSocket.open(server, newStore('twice'))
    const pull = socket.pull({ id: 5 })
    await pull.until(() => pull.caughtUp)
    const payload =
      reuse === 'Pull' ? pullPayload(socket.storeId, { live: true }) : pushPayload(socket.storeId, [])
    socket.send(requestText(5, `SyncWsRpc.${reuse}`, payload))
    const { code, reason } = await socket.untilClosed()
    assert.equal(code, 1008)
    assert.match(reason, /id/)
  }
  await bystander.check()
})

test('an id of a request that is over may be used again', async () => {
  const socket = await SyncSocket.open(server, newStore('again'))
  for (let i = 0; i < 3; i++) {
    assert.ok((await socket.pull({ live: false, id: 1 }).done()).ok)
    assert.ok((await socket.push([eventText({ seq: i + 1 })], { id: 1 }).done()).ok)
  }
  const pull = socket.pull({ id: 1 })
  await pull.until(() => pull.caughtUp)
  socket.interrupt(1)
  assert.equal((await pull.done()).kind, 'Interrupt')
  assert.ok((await socket.pull({ live: false, id: 1 }).done()).ok)
  socket.close()
})

test('ids are echoed as they were written, with their type', async () => {
  const texts = ['1', '"1"', '1.5', '-1', '1e2', '9007199254740993', '""', '"007"', '"a\\u0062"', '"é"']
  texts.push(`"${'x'.repeat(126)}"`, '12345678901234567890123', '0.0')
  const socket = await SyncSocket.open(server, newStore('echo'))
  const seen = []
  socket.ws.onMessage = (text) => seen.push(text)
  for (const [i, text] of texts.entries()) {
    socket.send(
      `{"_tag":"Request","id":${text},"tag":"SyncWsRpc.Push","payload":${pushPayload(socket.storeId, [])}}`,
    )
    await socket.until(() => seen.length > i, `the Exit of ${text}`)
    assert.ok(seen[i].includes(`"requestId":${text},`), `${text} in ${seen[i]}`)
  }
  socket.close()
  await bystander.check()
})

// ---- what one client sees of another's trouble ----

test('a thousand defects on one socket are answered, and others do not wait', async () => {
  const socket = await SyncSocket.open(server, newStore('flood'))
  for (let i = 0; i < 1000; i++) {
    socket.send('{nope')
  }
  await bystander.check()
  await socket.until(() => socket.defects.length === 1000, 'a thousand defects')
  await socket.ping()
  socket.close()
})

test('the server ends well after all of this', () => server.stop())
