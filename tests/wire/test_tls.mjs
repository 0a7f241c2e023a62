// TLS: the same protocol over https and wss, with a certificate made for the test.
import assert from 'node:assert/strict'
import test from 'node:test'
import tls from 'node:tls'
import { HttpClient, buildRequest, syncTarget } from './lib/http.mjs'
import { FREED_IS_FREE, selfSignedCertificate, startServer, temporaryDirectory, withServer } from './lib/server.mjs'
import {
  Bystander,
  SyncSocket,
  chain,
  eventText,
  newStore,
  pullOverHttp,
  pullPayload,
  pushOverHttp,
  pushPayload,
  readAnswer,
  requestText,
} from './lib/sync.mjs'
import { buildFrame, OP } from './lib/ws.mjs'
import { Wire } from './lib/wire.mjs'

const { cert, key, ca } = selfSignedCertificate()
const server = await startServer({
  'log-level': 'error',
  'tls-cert': cert,
  'tls-key': key,
  'head-timeout': '400ms',
  'idle-timeout': '600ms',
})
const bystander = await Bystander.open(server, { ca })
const connect = { ca }
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

test('it says so when it starts', () => {
  assert.equal(server.scheme, 'https')
  assert.match(server.stdout, /makeWsSync\(\{ url: 'https:/)
})

test('requests over https, one after the other and fifty in one write', async () => {
  const storeId = newStore('tls')
  const client = await HttpClient.connect(server, { ca })
  assert.equal((await client.ask('GET', '/')).status, 200)
  const requests = range(1, 50).map((seq) =>
    buildRequest('POST', syncTarget(storeId), {
      body: requestText(seq, 'SyncHttpRpc.Push', pushPayload(storeId, [eventText({ seq })])),
    }),
  )
  client.wire.write(Buffer.concat(requests))
  for (const seq of range(1, 50)) {
    const { messages, exit } = readAnswer(await client.response())
    assert.equal(messages[0].requestId, seq)
    assert.ok(exit.ok)
  }
  const { exit, chunks } = await pullOverHttp(server, storeId, { connect })
  assert.ok(exit.ok)
  assert.deepEqual(chunks.seqs, range(1, 50))
  client.close()
})

// ---- 2 MB and more, either way ----

const BIG = newStore('big')
test('a push of 2 MB over wss, and pulls of it over wss and https', async () => {
  const socket = await SyncSocket.open(server, BIG, { ca })
  const live = socket.pull()
  const args = JSON.stringify('é'.repeat(10_000))
  const push = socket.push(chain(0, 100, { args }))
  assert.ok((await push.done()).ok)
  assert.deepEqual(live.seqs, range(1, 100))
  const once = socket.pull({ live: false })
  assert.ok((await once.done()).ok)
  assert.deepEqual(once.seqs, range(1, 100))
  assert.ok(once.events.every((event) => event.argsText === args))
  const { chunks } = await pullOverHttp(server, BIG, { connect })
  assert.deepEqual(chunks.seqs, range(1, 100))
  assert.ok(chunks.events.every((event) => event.argsText === args))
  socket.close()
  await bystander.check()
})

test('a reader that stops for a while gets all of it', async () => {
  const storeId = newStore('slow')
  const args = JSON.stringify('x'.repeat(1_000_000))
  for (let seq = 1; seq <= 16; seq++) {
    assert.ok((await pushOverHttp(server, storeId, [eventText({ seq, args })], { connect })).exit.ok)
  }
  const client = await HttpClient.connect(server, { ca })
  client.send('POST', syncTarget(storeId), { body: requestText(1, 'SyncHttpRpc.Pull', pullPayload(storeId)) })
  client.wire.socket.pause()
  for (let i = 0; i < 20; i++) {
    await bystander.check()
  }
  client.wire.socket.resume()
  const { chunks } = readAnswer(await client.response())
  assert.deepEqual(chunks.seqs, range(1, 16))
  assert.ok(chunks.events.every((event) => event.argsText === args))
  client.close()
})

test('what waits for peers that do not read is not encrypted for each of them ahead of time', async () => {
  const flags = { 'log-level': 'error', 'tls-cert': cert, 'tls-key': key }
  await withServer(
    flags,
    async (own) => {
      const storeId = newStore('audience')
      const pusher = await SyncSocket.open(own, storeId, { ca })
      const args = JSON.stringify('x'.repeat(1_000_000))
      assert.ok((await pusher.push(chain(0, 14, { args })).done()).ok) // what a push alone takes
      const cursor = { backendId: (await pullOverHttp(own, storeId, { connect })).chunks.backendId, seq: 14 }
      const audience = []
      for (let i = 0; i < 25; i++) {
        const socket = await SyncSocket.open(own, storeId, { ca })
        const live = socket.pull({ cursor })
        await live.until(() => live.caughtUp, 'the first page')
        await socket.ping()
        socket.ws.wire.socket.pause()
        audience.push(socket)
      }
      const before = own.residentBytes()
      assert.ok((await pusher.push(chain(14, 14, { args })).done()).ok)
      await pusher.ping()
      const grown = own.residentBytes() - before
      assert.ok(grown < 150 * 2 ** 20, `25 peers that do not read cost ${grown} bytes`)
      audience[0].ws.wire.socket.resume()
      await audience[0].until(() => audience[0].log.at(-1).seqs?.at(-1) === 28, 'the events, once it reads')
      ;[pusher, ...audience].forEach((socket) => socket.close())
    },
    { env: FREED_IS_FREE },
  )
})

// ---- bytes at odd places ----

test('records of one byte each', async () => {
  const socket = await SyncSocket.open(server, newStore('bytes'), { ca })
  const before = socket.pongs
  for (const byte of buildFrame(OP.text, '{"_tag":"Ping"}')) {
    socket.ws.sendBytes(Buffer.from([byte]))
  }
  await socket.until(() => socket.pongs > before, 'a Pong')
  socket.close()
})

test('frames in the record of the handshake', async () => {
  const client = await HttpClient.connect(server, { ca })
  const headers = {
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16).toString('base64'),
  }
  const request = buildRequest('GET', syncTarget('early', 'ws'), { headers })
  client.wire.write(Buffer.concat([request, buildFrame(OP.text, '{"_tag":"Ping"}')]))
  assert.equal((await client.response({ cors: false })).status, 101)
  await client.wire.until(() => client.wire.bytes.includes('{"_tag":"Pong"}'), 'a Pong')
  client.close()
})

// ---- closing ----

test('closes are orderly: a close frame, then the end of the TLS stream', async () => {
  const socket = await SyncSocket.open(server, newStore('close'), { ca })
  socket.ws.goodbye(1000)
  assert.equal((await socket.untilClosed()).code, 1000)
  await socket.ws.wire.untilClosed()
  assert.equal(socket.ws.wire.error, null)
  const client = await HttpClient.connect(server, { ca })
  assert.equal((await client.ask('GET', '/', { headers: { connection: 'close' } })).status, 200)
  await client.wire.untilClosed()
  assert.equal(client.wire.error, null)
  await bystander.check()
})

test('a violation closes with its code over TLS too', async () => {
  const socket = await SyncSocket.open(server, newStore('close'), { ca })
  socket.ws.sendFrame(OP.text, 'x', { mask: null })
  assert.equal((await socket.untilClosed()).code, 1002)
  await bystander.check()
})

test('sockets that are cut in the middle of anything harm nobody', async () => {
  for (let i = 0; i < 20; i++) {
    const socket = await SyncSocket.open(server, BIG, { ca })
    const pull = socket.pull()
    if (i % 2) {
      await pull.until(() => pull.pages.length > 0)
    }
    socket.ws.wire.socket.destroy()
  }
  await bystander.check()
})

// ---- peers that do not speak TLS, or not to its end ----

test('plain HTTP to a TLS port ends that connection alone', async () => {
  const wire = await Wire.connect({ port: server.port })
  wire.write(buildRequest('GET', '/'))
  await wire.untilClosed()
  assert.ok(!wire.bytes.includes('HTTP/1.1 200'))
  await bystander.check()
})

test('garbage, and hellos that are cut or never end, are closed', async () => {
  const hello = Buffer.from('16030100f5010000f10303', 'hex')
  const wires = []
  for (const bytes of [Buffer.alloc(0), hello, Buffer.alloc(300, 0x16), Buffer.alloc(70_000, 0xff)]) {
    const wire = await Wire.connect({ port: server.port })
    wire.write(bytes)
    wires.push(wire)
  }
  for (const wire of wires) {
    await wire.untilClosed('a connection that never became TLS')
  }
  await bystander.check()
})

test('old versions of TLS are refused', async () => {
  for (const version of ['TLSv1', 'TLSv1.1']) {
    await assert.rejects(
      new Promise((resolve, reject) => {
        const socket = tls.connect({
          port: server.port,
          host: '127.0.0.1',
          ca,
          servername: 'localhost',
          minVersion: version,
          maxVersion: version,
          ciphers: 'DEFAULT@SECLEVEL=0',
        })
        socket.once('secureConnect', resolve)
        socket.once('error', reject)
      }),
    )
  }
  await bystander.check()
})

test('a certificate or a key that cannot be read is refused at the start, with its name', async () => {
  const missing = temporaryDirectory() + '/missing.pem'
  for (const flags of [
    { 'tls-cert': missing, 'tls-key': key },
    { 'tls-cert': cert, 'tls-key': missing },
    { 'tls-cert': key, 'tls-key': key },
    { 'tls-cert': cert, 'tls-key': cert },
    { 'tls-cert': cert, 'tls-key': selfSignedCertificate().key },
  ]) {
    const own = await startServer(flags, { mayFail: true })
    assert.equal(own.port, undefined)
    assert.notEqual(own.code, 0)
    assert.match(own.stderr, /\.pem|tls-/i)
    own.assertCalm()
  }
})

test('the server ends well after all of this: 1012, then the end', async () => {
  const pull = bystander.pull
  await server.stop()
  assert.equal((await bystander.socket.untilClosed()).code, 1012)
  assert.equal(pull.exit, null)
})
