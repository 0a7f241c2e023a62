// WebSocket frames (RFC 6455) that are cut, odd or wrong, and handshakes. The close code and its reason
// say what was wrong; other connections go on.
import assert from 'node:assert/strict'
import test from 'node:test'
import { HttpClient, ask, askRaw, buildRequest, syncTarget } from './lib/http.mjs'
import { startServer, withServer } from './lib/server.mjs'
import { Bystander, SyncSocket, eventText, newStore, pushPayload, requestText } from './lib/sync.mjs'
import { OP, WsClient, buildFrame, handshakeHeaders } from './lib/ws.mjs'

const server = await startServer({ 'log-level': 'error' })
const bystander = await Bystander.open(server)
const PING = '{"_tag":"Ping"}'
const PONG = '{"_tag":"Pong"}'
const connect = () => WsClient.connect(server, syncTarget(newStore('frames'), 'ws'))

// ---- violations ----

const closesWith = (name, code, pattern, frames) =>
  test(`${name} closes with ${code}`, async () => {
    const ws = await connect()
    ws.sendBytes(Buffer.concat([].concat(frames)))
    const close = await ws.untilClosed()
    assert.equal(close.code, code, close.reason)
    assert.match(close.reason, pattern)
    await ws.wire.untilClosed('the end of the stream after the close frame')
    await bystander.check()
  })

const MIB = 1024 * 1024
closesWith('an unmasked frame', 1002, /mask/, buildFrame(OP.text, PING, { mask: null }))
closesWith('an unmasked control frame', 1002, /mask/, buildFrame(OP.ping, '', { mask: null }))
for (const rsv of [1, 2, 3, 4, 7]) {
  closesWith(`reserved bits ${rsv}`, 1002, /reserved bit/, buildFrame(OP.text, PING, { rsv }))
}
for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
  closesWith(`the reserved opcode ${opcode}`, 1002, /opcode/, buildFrame(opcode, PING))
}
closesWith('a binary message', 1003, /binary/, buildFrame(OP.binary, PING))
closesWith('an empty binary message', 1003, /binary/, buildFrame(OP.binary))
closesWith('a fragmented ping', 1002, /control/, buildFrame(OP.ping, 'x', { fin: false }))
closesWith('a ping of 126 bytes', 1002, /125/, buildFrame(OP.ping, 'x'.repeat(126)))
closesWith('a continuation of nothing', 1002, /continu/, buildFrame(OP.continuation, PING))
closesWith('a message inside another', 1002, /fragment/, [
  buildFrame(OP.text, '{"_tag"', { fin: false }),
  buildFrame(OP.text, PING),
])
closesWith(
  'a length of 2 bytes where none is needed',
  1002,
  /length/,
  buildFrame(OP.text, PING, { lengthBytes: 2 }),
)
closesWith(
  'a length of 8 bytes where 2 would do',
  1002,
  /length/,
  buildFrame(OP.text, 'x'.repeat(300), { lengthBytes: 8 }),
)
closesWith(
  'an announced length of 2^63',
  1002,
  /2\^63/,
  buildFrame(OP.text, '', { announce: 1n << 63n, lengthBytes: 8 }),
)
closesWith(
  'an announced length of 2^63-1',
  1009,
  /--message-bytes-max/,
  buildFrame(OP.text, '', { announce: (1n << 63n) - 1n, lengthBytes: 8 }),
)
closesWith(
  'an announced length of 16 MiB and a byte',
  1009,
  /--message-bytes-max/,
  buildFrame(OP.text, '', { announce: 16 * MIB + 1, lengthBytes: 8 }),
)
closesWith(
  'an announced binary length of 1 GiB',
  1009,
  /--message-bytes-max/,
  buildFrame(OP.binary, '', { announce: 1024 * MIB, lengthBytes: 8 }),
)
closesWith('fragments that grow over the limit', 1009, /--message-bytes-max/, [
  buildFrame(OP.text, 'x'.repeat(10), { fin: false }),
  buildFrame(OP.continuation, '', { announce: 16 * MIB - 9, lengthBytes: 8 }),
])
closesWith(
  'text that ends inside a character',
  1007,
  /UTF-8/,
  buildFrame(OP.text, Buffer.from([0x22, 0xe2, 0x82])),
)
closesWith('fragments whose text is not UTF-8', 1007, /UTF-8/, [
  buildFrame(OP.text, Buffer.from([0x22, 0xe2]), { fin: false }),
  buildFrame(OP.continuation, Buffer.from([0x22])),
])
closesWith('half a close code', 1002, /close code/, buildFrame(OP.close, 'x'))
for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]) {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  closesWith(`the close code ${code}`, 1002, /close code/, buildFrame(OP.close, payload))
}
closesWith(
  'a close reason that is not UTF-8',
  1007,
  /UTF-8/,
  buildFrame(OP.close, Buffer.from([3, 232, 0xff])),
)

test('a big length that is only announced takes no memory', async () => {
  const before = server.residentBytes()
  const sockets = []
  for (let i = 0; i < 20; i++) {
    const ws = await connect()
    ws.sendBytes(buildFrame(OP.text, 'x', { announce: 16 * MIB, lengthBytes: 8 }))
    ws.sendFrame(OP.ping, 'after') // inside the announced payload, so no Pong comes
    sockets.push(ws)
  }
  await bystander.check()
  assert.ok(server.residentBytes() - before < 64 * MIB, 'announced lengths are not allocated')
  sockets.forEach((ws) => ws.destroy())
})

// ---- fragments ----

test('a message in two fragments, split at every byte, with a ping in between', async () => {
  const ws = await connect()
  for (let cut = 0; cut <= PING.length; cut++) {
    ws.sendFrame(OP.text, PING.slice(0, cut), { fin: false })
    ws.sendFrame(OP.ping, String(cut))
    ws.sendFrame(OP.pong, 'unasked')
    ws.sendFrame(OP.continuation, PING.slice(cut))
    assert.equal(await ws.nextMessage(), PONG)
    assert.equal(String(ws.pongs.pop()), String(cut))
  }
  ws.destroy()
  await bystander.check()
})

test('a message in fragments of one byte each, each in a segment of its own', async () => {
  const socket = await SyncSocket.open(server, newStore('bytes'))
  const args = '"é漢😀"'
  const asked = socket.expect(1)
  const text = requestText(1, 'SyncWsRpc.Push', pushPayload(socket.storeId, [eventText({ seq: 1, args })]))
  const payload = Buffer.from(text)
  for (let i = 0; i < payload.length; i++) {
    const opcode = i === 0 ? OP.text : OP.continuation
    socket.ws.sendFrame(opcode, payload.subarray(i, i + 1), { fin: i === payload.length - 1 })
  }
  assert.ok((await asked.done()).ok)
  const pull = socket.pull({ live: false })
  await pull.done()
  assert.equal(pull.events[0].argsText, args)
  socket.close()
  await bystander.check()
})

test('a stream that is cut at every byte of its frames says the same', async () => {
  const frames = Buffer.concat([
    buildFrame(OP.text, '{"_tag":', { fin: false }),
    buildFrame(OP.ping, 'p'),
    buildFrame(OP.continuation, '"Ping"}'),
    buildFrame(OP.text, PING + ' '.repeat(200)),
  ])
  for (let cut = 1; cut < frames.length; cut += 3) {
    const ws = await connect()
    ws.sendBytes(frames.subarray(0, cut))
    await new Promise((resolve) => setImmediate(resolve)) // two segments, mostly
    ws.sendBytes(frames.subarray(cut))
    assert.equal(await ws.nextMessage(), PONG)
    assert.equal(await ws.nextMessage(), PONG)
    assert.equal(ws.pongs.length, 1)
    ws.destroy()
  }
  await bystander.check()
})

test('a thousand empty fragments are nothing', async () => {
  const ws = await connect()
  ws.sendFrame(OP.text, '{"_tag"', { fin: false })
  for (let i = 0; i < 1000; i++) {
    ws.sendFrame(OP.continuation, '', { fin: false })
  }
  ws.sendFrame(OP.continuation, ':"Ping"}')
  assert.equal(await ws.nextMessage(), PONG)
  ws.destroy()
  await bystander.check()
})

test('many messages in one segment are answered in order', async () => {
  const ws = await connect()
  const frames = Array.from({ length: 500 }, (_, i) => [
    buildFrame(OP.text, PING),
    buildFrame(OP.ping, String(i)),
  ])
  ws.sendBytes(Buffer.concat(frames.flat()))
  await ws.wire.until(() => ws.messages.length === 500 && ws.pongs.length === 500, '500 Pongs')
  assert.deepEqual(
    ws.pongs.map(String),
    Array.from({ length: 500 }, (_, i) => String(i)),
  )
  ws.destroy()
})

test('pings are answered with their payload, of 0 to 125 bytes', async () => {
  const ws = await connect()
  for (const bytes of [0, 1, 124, 125]) {
    const payload = Buffer.alloc(bytes, 0xff)
    ws.sendFrame(OP.ping, payload)
    await ws.wire.until(() => ws.pongs.length > 0, 'a pong')
    assert.deepEqual(ws.pongs.pop(), payload)
  }
  ws.destroy()
})

test('a mask of zeros is a mask', async () => {
  const ws = await connect()
  ws.sendFrame(OP.text, PING, { mask: Buffer.alloc(4) })
  assert.equal(await ws.nextMessage(), PONG)
  ws.destroy()
})

// ---- closing ----

test('a close is answered with its code, and the connection ends', async () => {
  for (const code of [1000, 1001, 1011, 3000, 4999]) {
    const ws = await connect()
    ws.goodbye(code)
    assert.equal((await ws.untilClosed()).code, code)
    await ws.wire.untilClosed()
  }
  const ws = await connect()
  ws.sendFrame(OP.close)
  assert.ok([1000, 1005].includes((await ws.untilClosed()).code))
  await bystander.check()
})

test('what follows a close frame is not looked at', async () => {
  const ws = await connect()
  const payload = Buffer.from([3, 232])
  ws.sendBytes(
    Buffer.concat([buildFrame(OP.close, payload), buildFrame(OP.text, PING), Buffer.alloc(3000, 0xff)]),
  )
  assert.equal((await ws.untilClosed()).code, 1000)
  await ws.wire.untilClosed()
  assert.deepEqual(ws.messages, [])
  await bystander.check()
})

test('sockets that are cut without a word leave nothing behind', async () => {
  for (let i = 0; i < 50; i++) {
    const socket = await SyncSocket.open(server, newStore('cut'))
    socket.pull()
    socket.push([eventText({ seq: 1 })])
    if (i % 2) {
      await socket.ping()
    }
    socket.ws.wire.socket.resetAndDestroy?.()
    socket.close()
  }
  await bystander.check()
})

// ---- handshakes ----

const target = syncTarget('handshake', 'ws')
const handshake = (headers, options = {}) =>
  askRaw(
    server,
    buildRequest(options.method ?? 'GET', options.target ?? target, {
      headers: { ...handshakeHeaders(), ...headers },
      ...options,
    }),
  )

const refusesHandshake = (name, status, pattern, headers, options) =>
  test(`a handshake ${name} is refused with ${status}`, async () => {
    const response = await handshake(headers, options)
    assert.equal(response.status, status)
    assert.match(response.text, pattern)
    await bystander.check()
  })

refusesHandshake('without a key', 400, /Sec-WebSocket-Key/, { 'sec-websocket-key': undefined })
refusesHandshake('with a key that is not base64', 400, /Sec-WebSocket-Key/, {
  'sec-websocket-key': 'not base64 at all!!!!==',
})
refusesHandshake('with a key of 15 bytes', 400, /Sec-WebSocket-Key/, {
  'sec-websocket-key': Buffer.alloc(15).toString('base64'),
})
refusesHandshake('with a key of 17 bytes', 400, /Sec-WebSocket-Key/, {
  'sec-websocket-key': Buffer.alloc(17).toString('base64'),
})
refusesHandshake('of version 8', 426, /13/, { 'sec-websocket-version': '8' })
refusesHandshake('without a version', 426, /13/, { 'sec-websocket-version': undefined })
refusesHandshake('with a body', 400, /body/, { 'content-length': '5' })
refusesHandshake('with POST', 400, /GET/, {}, { method: 'POST' })
refusesHandshake('without a storeId', 400, /storeId/, {}, { target: '/?transport=ws' })
refusesHandshake('without a transport', 400, /transport/, {}, { target: '/?storeId=x' })
refusesHandshake(
  'with an unknown transport',
  400,
  /transport/,
  {},
  { target: '/?storeId=x&transport=carrier-pigeon' },
)
refusesHandshake('with transport=http', 400, /transport/, {}, { target: '/?storeId=x&transport=http' })
refusesHandshake('with an empty storeId', 400, /storeId/, {}, { target: '/?storeId=&transport=ws' })
refusesHandshake(
  'with a storeId that is not UTF-8',
  400,
  /storeId/,
  {},
  { target: '/?storeId=%ff&transport=ws' },
)
refusesHandshake(
  'with a storeId that ends in half an escape',
  400,
  /storeId/,
  {},
  { target: '/?storeId=a%4&transport=ws' },
)
refusesHandshake(
  'with a payload that is not JSON',
  400,
  /payload/,
  {},
  { target: '/?storeId=x&transport=ws&payload=%7Bbad' },
)

test('a handshake without Upgrade gets 426 with an Upgrade header', async () => {
  const response = await ask(server, 'GET', target)
  assert.equal(response.status, 426)
  assert.equal(response.headers.upgrade, 'websocket')
  assert.match(response.headers.connection, /upgrade/)
})

test('a version that is not known gets told which is (RFC 6455 4.4)', async () => {
  const response = await handshake({ 'sec-websocket-version': '99' })
  assert.equal(response.status, 426)
  assert.equal(response.headers['sec-websocket-version'], '13')
})

test('header names and tokens in any letters, and several tokens', async () => {
  const headers = handshakeHeaders()
  for (const [upgrade, connection] of [
    ['WebSocket', 'keep-alive, Upgrade'],
    ['websocket', 'upgrade'],
    ['WEBSOCKET', 'x, UPGRADE , y'],
  ]) {
    const request = buildRequest('GET', target, { headers: { ...headers, upgrade, connection } })
    const response = await new HttpClient((await HttpClient.connect(server)).wire)
    response.wire.write(request)
    assert.equal((await response.response({ cors: false })).status, 101)
    response.close()
  }
})

test('frames may come in the same segment as the handshake', async () => {
  const client = await HttpClient.connect(server)
  const request = buildRequest('GET', target, { headers: handshakeHeaders() })
  client.wire.write(Buffer.concat([request, buildFrame(OP.text, PING), buildFrame(OP.text, PING)]))
  assert.equal((await client.response({ cors: false })).status, 101)
  await client.wire.until(() => client.wire.bytes.length >= 2 * (2 + PONG.length), 'two Pongs')
  assert.equal(client.wire.bytes.toString('latin1', 2, 2 + PONG.length), PONG)
  client.close()
})

test('an extension or a protocol that is offered is not taken', async () => {
  const client = await HttpClient.connect(server)
  const headers = {
    ...handshakeHeaders(),
    'sec-websocket-extensions': 'permessage-deflate',
    'sec-websocket-protocol': 'chat',
  }
  client.send('GET', target, { headers })
  const response = await client.response({ cors: false })
  assert.equal(response.status, 101)
  assert.ok(!('sec-websocket-extensions' in response.headers))
  assert.ok(!('sec-websocket-protocol' in response.headers))
  client.close()
})

// ---- a peer that is not there any more ----

test('a silent socket is pinged, and cut when nobody answers', async () => {
  await withServer({ 'ping-interval': '100ms' }, async (own) => {
    const silent = await WsClient.connect(own, target)
    silent.answersPings = false
    const talking = await SyncSocket.open(own, 'talking')
    const pull = talking.pull()
    const { code } = await silent.untilClosed('a silent socket is cut')
    assert.equal(code, 1006, 'there is nobody to say goodbye to')
    assert.ok(silent.pings.length >= 1 && silent.pings.length <= 3, `${silent.pings.length} pings`)
    await talking.until(() => talking.ws.pings.length >= 4, 'one that answers stays')
    assert.ok((await talking.push([eventText({ seq: 1 })]).done()).ok)
    await pull.untilEvent(1)
    talking.close()
  })
})

test('a socket whose peer has ended its side is closed', async () => {
  const ws = await connect()
  ws.wire.socket.end()
  await ws.wire.untilClosed()
  await bystander.check()
})

test('the server ends well after all of this', () => server.stop())
