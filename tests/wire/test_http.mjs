// HTTP/1.1 as it should be, as old clients speak it, and as nobody should. Each refusal names the
// problem, carries the CORS header (lib/http.mjs checks that of every response), and harms nobody else.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { HttpClient, ask, askRaw, buildRequest, syncTarget } from './lib/http.mjs'
import { startServer } from './lib/server.mjs'
import {
  Bystander,
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
import { pause } from './lib/wire.mjs'

const server = await startServer({
  'log-level': 'error',
  'message-bytes-max': '1M',
  'event-bytes-max': '512K',
})
const bystander = await Bystander.open(server)
const STORE = 'http'
const SYNC = syncTarget(STORE)
const pingText = (id) => requestText(id, 'SyncHttpRpc.Ping', `{"storeId":"${STORE}"}`)
const isPong = (response, id) => {
  assert.equal(response.status, 200)
  const [message] = response.json()
  assert.equal(message.requestId, id)
  assert.deepEqual(message.exit, { _tag: 'Success', value: { _tag: 'SyncMessage.Pong' } })
}
const httpTest = (name, body) =>
  test(name, async () => {
    await body()
    await bystander.check()
  })

// ---- what is where ----

httpTest('GET / greets', async () => {
  const response = await ask(server, 'GET', '/')
  assert.equal(response.status, 200)
  assert.match(response.headers['content-type'], /^text\/plain/)
  assert.match(response.text, /Sluice/)
})

httpTest('what is refused after a HEAD is refused with a body that says why', async () => {
  const client = await HttpClient.connect(server)
  await client.ask('HEAD', '/')
  client.wire.write('no request\r\n\r\n')
  assert.match((await client.response()).text, /version/)
  await client.wire.untilClosed()
})

httpTest('HEAD answers as GET would, without the body', async () => {
  for (const target of ['/', '/foo', SYNC, '/healthz']) {
    const client = await HttpClient.connect(server)
    const get = await client.ask('GET', target)
    const head = await client.ask('HEAD', target)
    assert.equal(head.status, get.status)
    assert.equal(head.headers['content-length'], get.headers['content-length'])
    isPong(await client.ask('POST', SYNC, { body: pingText(1) }), 1) // no stray body before it
    client.close()
  }
})

httpTest('other paths are 404, with any method', async () => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']) {
    const response = await ask(server, method, '/foo/bar?x=1', { body: method === 'POST' ? '{}' : null })
    assert.equal(response.status, 404)
  }
  assert.equal((await ask(server, 'POST', '/', { body: '{}' })).status, 404)
})

httpTest('health and readiness', async () => {
  for (const target of ['/healthz', '/readyz']) {
    assert.equal((await ask(server, 'GET', target)).status, 200)
  }
})

httpTest('a preflight is allowed what it asks for, on any path', async () => {
  for (const target of ['/', SYNC, '/some/path?x', '*']) {
    const asked = 'content-type, x-livestore-store-id,traceparent , b3'
    const headers = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
    const response = await ask(server, 'OPTIONS', target, {
      headers: { ...headers, 'access-control-request-headers': asked },
    })
    assert.equal(response.status, 204)
    assert.equal(response.headers['access-control-allow-headers'], asked)
    assert.match(response.headers['access-control-allow-methods'], /POST/)
    assert.ok(Number(response.headers['access-control-max-age']) > 0)
    assert.ok(!('content-length' in response.headers), 'RFC 9110 8.6: none in a 204')
    assert.equal((await ask(server, 'OPTIONS', target)).headers['access-control-allow-headers'], '*')
  }
})

httpTest('sync is asked with POST', async () => {
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const response = await ask(server, method, SYNC)
    assert.equal(response.status, 405)
    assert.match(response.headers.allow, /POST/)
    assert.match(response.text, /POST/)
  }
})

httpTest('a Ping is answered on every path, with and without a content type', async () => {
  for (const path of ['/', '/a/b', '//', '/%20']) {
    for (const headers of [{}, { 'content-type': 'application/json' }, { 'content-type': 'text/plain' }]) {
      const target = `${path}?storeId=${STORE}&transport=http`
      isPong(await ask(server, 'POST', target, { headers, body: pingText('7') }), '7')
    }
  }
})

// ---- parameters ----

const refusesTarget = (name, target, pattern) =>
  httpTest(`parameters: ${name}`, async () => {
    const response = await ask(server, 'POST', target, { body: pingText(1) })
    assert.equal(response.status, 400)
    assert.match(response.text, pattern)
  })
refusesTarget('no storeId', '/?transport=http', /storeId is missing/)
refusesTarget('two storeIds', '/?storeId=x&transport=http&storeId=y', /storeId is given more than once/)
refusesTarget('a storeId and one in disguise', '/?%73toreId=x&storeId=y&transport=http', /storeId is given more/)
refusesTarget('two transports', '/?storeId=x&transport=http&transport=http', /transport is given more than once/)
refusesTarget('two payloads', '/?storeId=x&transport=http&payload=1&payload=1', /payload is given more than once/)
refusesTarget('no transport', '/?storeId=x', /transport is missing/)
refusesTarget('an empty transport', '/?storeId=x&transport=', /transport/)
refusesTarget('an unknown transport', '/?storeId=x&transport=HTTP', /transport must be ws or http/)
refusesTarget('an empty storeId', '/?storeId=&transport=http', /storeId is empty/)
refusesTarget('a storeId without a value', '/?storeId&transport=http', /storeId is empty/)
refusesTarget('half an escape', '/?storeId=a%2&transport=http', /storeId/)
refusesTarget('an escape that is none', '/?storeId=%zz&transport=http', /storeId/)
refusesTarget('a storeId that is not UTF-8', '/?storeId=%ff%fe&transport=http', /storeId is not valid UTF-8/)
refusesTarget(
  'a payload that is not JSON',
  '/?storeId=x&transport=http&payload=%7Bbad',
  /payload must be JSON/,
)
refusesTarget('an empty payload', '/?storeId=x&transport=http&payload=', /payload/)
refusesTarget('a payload encoded three times', '/?storeId=x&transport=http&payload=%25257B%25257D', /payload/)

httpTest('a payload is good when it is encoded once or twice', async () => {
  const values = [null, {}, 'text', 'plain%41 string', '100%', { token: 'ü+&=%漢😀' }, [1, [2]], 5]
  for (const value of values) {
    const once = encodeURIComponent(JSON.stringify(value))
    for (const payload of [once, encodeURIComponent(once)]) {
      const target = `/?storeId=${STORE}&payload=${payload}&transport=http`
      isPong(await ask(server, 'POST', target, { body: pingText(1) }), 1)
    }
  }
})

httpTest('a storeId may be any text', async () => {
  for (const storeId of ['ü', '漢字😀', 'a b+c%d&e=f?g#h/i', '"\\', '\u0000', "'; --", '.', ' ']) {
    for (const encode of [
      encodeURIComponent,
      (text) => new URLSearchParams({ t: text }).toString().slice(2),
    ]) {
      const target = `/?transport=http&storeId=${encode(storeId)}`
      const push = await pushOverHttp(
        server,
        storeId,
        [eventText({ seq: 1, args: JSON.stringify(storeId) })],
        { target },
      )
      assert.ok(push.exit.ok)
      const pull = await pullOverHttp(server, storeId, { target })
      assert.deepEqual(
        pull.chunks.events.map(({ args }) => args),
        [storeId],
      )
    }
  }
})

httpTest('headers may hold any bytes of Latin-1, as browsers send them', async () => {
  const headers = { 'x-livestore-store-id': 'b\u00fccher \u00ff\t', 'user-agent': '\u00b5' }
  isPong(await ask(server, 'POST', SYNC, { headers, body: pingText(1) }), 1)
})

httpTest('an absolute target is a target', async () => {
  isPong(await ask(server, 'POST', `http://localhost:1${SYNC}`, { body: pingText(1) }), 1)
})

// ---- one request after the other, and many at once ----

httpTest('a connection serves a hundred requests', async () => {
  const client = await HttpClient.connect(server)
  for (let i = 0; i < 100; i++) {
    isPong(await client.ask('POST', SYNC, { body: pingText(i) }), i)
  }
  client.close()
})

httpTest('fifty pings in one write are answered in their order', async () => {
  const client = await HttpClient.connect(server)
  const requests = Array.from({ length: 50 }, (_, i) => buildRequest('POST', SYNC, { body: pingText(i) }))
  client.wire.write(Buffer.concat(requests))
  for (let i = 0; i < 50; i++) {
    isPong(await client.response(), i)
  }
  client.close()
})

const pushRequest = (storeId, id, seq, args) =>
  buildRequest('POST', syncTarget(storeId), {
    body: requestText(id, 'SyncHttpRpc.Push', pushPayload(storeId, [eventText({ seq, args })])),
  })

async function pipelinesPushes(count, args, write) {
  const storeId = newStore('pipelined')
  const client = await HttpClient.connect(server)
  const requests = []
  for (let seq = 1; seq <= count; seq++) {
    requests.push(pushRequest(storeId, seq, seq, args))
  }
  write(client.wire, Buffer.concat(requests))
  for (let seq = 1; seq <= count; seq++) {
    const { messages, exit } = readAnswer(await client.response())
    assert.equal(messages[0].requestId, seq)
    assert.ok(exit.ok, `push ${seq} found its parent`)
  }
  client.close()
  assert.equal((await pullOverHttp(server, storeId)).chunks.last, count)
}

httpTest('fifty pushes in one write are admitted and answered in their order', () =>
  pipelinesPushes(50, '{}', (wire, bytes) => wire.write(bytes)),
)

httpTest('pushes of 30,000 bytes each in one write', () =>
  pipelinesPushes(20, JSON.stringify('x'.repeat(30_000)), (wire, bytes) => wire.write(bytes)),
)

// Memory would otherwise grow with every answer that nobody reads.
httpTest('a client that asks and asks without reading is not read from; then it gets every answer', async () => {
  const ONE = 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'
  const PIECE = 1000
  const PIECES_MAX = 1000 // 40 MB, far more than the sockets' own buffers take
  const socket = net.connect(server.port, '127.0.0.1').pause()
  const taken = () => new Promise((resolve) => socket.write(ONE.repeat(PIECE), () => resolve(true)))
  let pieces = 0
  let last = null
  do {
    last = taken()
    pieces++
  } while (pieces < PIECES_MAX && (await Promise.race([last, pause(1000)])))
  assert.ok(pieces < PIECES_MAX, 'the server took all, and holds the answers')
  let answers = 0
  let rest = ''
  socket.setEncoding('latin1').on('data', (text) => {
    const parts = (rest + text).split('HTTP/1.1 200 ')
    answers += parts.length - 1
    rest = parts.at(-1).slice(-12)
    if (answers === pieces * PIECE) {
      socket.destroy()
    }
  })
  socket.resume()
  await once(socket, 'close')
  assert.equal(answers, pieces * PIECE)
})

httpTest('pipelined pushes, cut at odd places', () =>
  pipelinesPushes(20, '"é漢😀"', async (wire, bytes) => {
    for (let at = 0; at < bytes.length; at += 97) {
      wire.write(bytes.subarray(at, at + 97))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }),
)

httpTest('requests of all kinds in one write', async () => {
  const storeId = newStore('mixed')
  const client = await HttpClient.connect(server)
  const pull = requestText('p', 'SyncHttpRpc.Pull', pullPayload(storeId))
  client.wire.write(
    Buffer.concat([
      buildRequest('GET', '/'),
      pushRequest(storeId, 1, 1),
      buildRequest('HEAD', '/'),
      buildRequest('POST', syncTarget(storeId), { body: pull }),
      buildRequest('OPTIONS', '/'),
      buildRequest('POST', syncTarget(storeId), { body: '{nope' }),
      pushRequest(storeId, 2, 2),
      buildRequest('GET', '/readyz'),
      buildRequest('POST', syncTarget(storeId), { body: pull }),
      buildRequest('GET', '/nowhere', { headers: { connection: 'close' } }),
      buildRequest('GET', '/'),
    ]),
  )
  const methods = ['GET', 'POST', 'HEAD', 'POST', 'OPTIONS', 'POST', 'POST', 'GET', 'POST', 'GET']
  const responses = []
  for (const method of methods) {
    responses.push(await client.response({ method }))
  }
  assert.deepEqual(
    responses.map(({ status }) => status),
    [200, 200, 200, 200, 204, 400, 200, 200, 200, 404],
  )
  assert.deepEqual(readAnswer(responses[3]).chunks.seqs, [1])
  assert.deepEqual(readAnswer(responses[8]).chunks.seqs, [1, 2])
  await client.wire.untilClosed('after connection: close')
  assert.equal(client.wire.bytes.length, 0, 'nothing is answered after that')
})

httpTest('requests may come byte by byte', async () => {
  const client = await HttpClient.connect(server)
  const bytes = Buffer.concat([
    buildRequest('POST', SYNC, { body: pingText(1) }),
    buildRequest('POST', SYNC, { body: pingText(2) }),
  ])
  for (const byte of bytes) {
    client.wire.write(Buffer.from([byte]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  isPong(await client.response(), 1)
  isPong(await client.response(), 2)
  client.close()
})

httpTest('a client that ends its side after its requests gets all answers', async () => {
  const storeId = newStore('half-closed')
  const client = await HttpClient.connect(server, { allowHalfOpen: true })
  client.wire.socket.end(
    Buffer.concat([pushRequest(storeId, 1, 1), pushRequest(storeId, 2, 2), pushRequest(storeId, 3, 3)]),
  )
  for (const id of [1, 2, 3]) {
    const { messages, exit } = readAnswer(await client.response())
    assert.equal(messages[0].requestId, id)
    assert.ok(exit.ok)
  }
  await client.wire.until(() => client.wire.peerEnded, 'the end', { evenClosed: true })
  client.close()
})

httpTest('empty lines before a request are passed over', async () => {
  isPong(
    await askRaw(
      server,
      Buffer.concat([Buffer.from('\r\n\r\n'), buildRequest('POST', SYNC, { body: pingText(1) })]),
    ),
    1,
  )
})

// ---- HTTP/1.0 ----

httpTest('HTTP/1.0 gets one answer and the end of the connection', async () => {
  const client = await HttpClient.connect(server)
  client.send('GET', '/', { version: '1.0', headers: { host: undefined } })
  assert.equal((await client.response()).status, 200)
  await client.wire.untilClosed()
})

httpTest('HTTP/1.0 with keep-alive is told that the connection stays, and when it ends', async () => {
  const client = await HttpClient.connect(server)
  const old = { version: '1.0', headers: { connection: 'keep-alive' } }
  for (let i = 0; i < 3; i++) {
    assert.equal((await client.ask('GET', '/', old)).headers.connection, 'keep-alive')
  }
  assert.equal((await client.ask('GET', '/', { version: '1.0' })).headers.connection, 'close')
  await client.wire.untilClosed()
})

httpTest('HTTP/1.0 pulls end with the connection, not with chunks', async () => {
  const storeId = newStore('old')
  await pushOverHttp(server, storeId, chain(0, 900, { args: JSON.stringify('x'.repeat(500)) }))
  const client = await HttpClient.connect(server)
  const body = requestText(1, 'SyncHttpRpc.Pull', pullPayload(storeId))
  client.send('POST', syncTarget(storeId), { version: '1.0', headers: { connection: 'keep-alive' }, body })
  const response = await client.response()
  assert.ok(!('transfer-encoding' in response.headers))
  assert.equal(readAnswer(response).chunks.events.length, 900)
  await client.wire.untilClosed()
})

// ---- bodies ----

const CHUNKED = { 'transfer-encoding': 'chunked' }
const chunkedBody = (...pieces) =>
  pieces.map((piece) => `${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n`).join('') + '0\r\n\r\n'

httpTest('a chunked body, in one piece and in many', async () => {
  const text = pingText(1)
  isPong(await ask(server, 'POST', SYNC, { headers: CHUNKED, body: chunkedBody(text) }), 1)
  isPong(await ask(server, 'POST', SYNC, { headers: CHUNKED, body: chunkedBody(...text) }), 1)
})

httpTest('chunk extensions, trailers, capital digits and leading zeros', async () => {
  const text = pingText(1)
  const size = text.length.toString(16).toUpperCase()
  const body = `000${size};name=value;x="y"\r\n${text}\r\n0;z\r\nX-Trailer: 1\r\nAnother: 2\r\n\r\n`
  isPong(await ask(server, 'POST', SYNC, { headers: CHUNKED, body }), 1)
})

httpTest('a chunked body is followed by the next request', async () => {
  const client = await HttpClient.connect(server)
  const one = buildRequest('POST', SYNC, { headers: CHUNKED, body: chunkedBody(pingText(1)) })
  client.wire.write(Buffer.concat([one, one, buildRequest('POST', SYNC, { body: pingText(2) })]))
  isPong(await client.response(), 1)
  isPong(await client.response(), 1)
  isPong(await client.response(), 2)
  client.close()
})

httpTest('Expect: 100-continue gets its 100 before the body is sent', async () => {
  const client = await HttpClient.connect(server)
  const body = Buffer.from(pingText(1))
  client.wire.write(
    buildRequest('POST', SYNC, { headers: { expect: '100-continue', 'content-length': body.length } }),
  )
  assert.equal((await client.response()).status, 100)
  client.wire.write(body)
  isPong(await client.response(), 1)
  client.close()
})

httpTest('Expect: 100-continue of a body that is too big is refused at once', async () => {
  const headers = { expect: '100-continue', 'content-length': 2 * 1024 * 1024 }
  assert.equal((await askRaw(server, buildRequest('POST', SYNC, { headers }))).status, 413)
})

httpTest('a body over the limit is refused before it is read', async () => {
  const headers = { 'content-length': 1024 * 1024 + 1 }
  const response = await askRaw(server, buildRequest('POST', SYNC, { headers }))
  assert.equal(response.status, 413)
  assert.match(response.text, /--message-bytes-max/)
})

httpTest('a chunked body is refused when it grows over the limit', async () => {
  const client = await HttpClient.connect(server)
  client.send('POST', SYNC, { headers: CHUNKED })
  const piece = Buffer.from(`8000\r\n${'x'.repeat(0x8000)}\r\n`)
  for (let i = 0; i < 40; i++) {
    client.wire.write(piece)
  }
  const response = await client.response()
  assert.equal(response.status, 413)
  assert.match(response.text, /--message-bytes-max/)
  client.close()
})

// ---- requests that no two parsers read alike ----

const refuses = (name, bytes, status, pattern) =>
  httpTest(`refused: ${name}`, async () => {
    const client = await HttpClient.connect(server)
    client.wire.write(bytes)
    const response = await client.response()
    assert.equal(response.status, status, response.text)
    assert.match(response.text, pattern)
    assert.equal(response.headers.connection, 'close')
    await client.wire.untilClosed('a connection that was not understood is closed')
    assert.equal(client.wire.bytes.length, 0)
  })

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
const withHeaders = (...lines) =>
  Buffer.from(`POST ${SYNC} HTTP/1.1\r\nHost: x\r\n${lines.join('\r\n')}\r\n\r\n${smuggled}`, 'latin1')

refuses('both length headers', withHeaders('Content-Length: 5', 'Transfer-Encoding: chunked'), 400, /both/)
refuses(
  'both, the other way round',
  withHeaders('Transfer-Encoding: chunked', 'Content-Length: 5'),
  400,
  /both/,
)
refuses('Content-Length twice', withHeaders('Content-Length: 5', 'Content-Length: 6'), 400, /repeated/)
refuses('Content-Length twice alike', withHeaders('Content-Length: 5', 'Content-Length: 5'), 400, /repeated/)
refuses('a list of lengths', withHeaders('Content-Length: 5, 5'), 400, /number/)
refuses('a negative length', withHeaders('Content-Length: -1'), 400, /number/)
refuses('a length with a plus', withHeaders('Content-Length: +5'), 400, /number/)
refuses('a hexadecimal length', withHeaders('Content-Length: 0x5'), 400, /number/)
refuses('an empty length', withHeaders('Content-Length: '), 400, /number/)
refuses('a length of 2^64', withHeaders('Content-Length: 18446744073709551616'), 413, /large/)
refuses('a gzip body', withHeaders('Transfer-Encoding: gzip, chunked'), 501, /chunked/)
refuses('an identity body', withHeaders('Transfer-Encoding: identity'), 400, /chunked/)
refuses('chunked twice', withHeaders('Transfer-Encoding: chunked, chunked'), 400, /chunked/)
refuses('chunked, then something', withHeaders('Transfer-Encoding: chunked, gzip'), 400, /chunked/)
refuses(
  'Transfer-Encoding twice',
  withHeaders('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
  400,
  /repeated/,
)
refuses('white space before a colon', withHeaders('Content-Length : 5'), 400, /white space/)
refuses('a folded header', withHeaders('X: a', ' b'), 400, /white space/)
refuses('a header without a colon', withHeaders('nonsense'), 400, /colon/)
refuses('a header without a name', withHeaders(': x'), 400, /name/)
refuses('a header name with a space', withHeaders('a b: x'), 400, /name|white space/)
refuses('a NUL in a header', withHeaders('X: a\0b'), 400, /control/)
refuses('a bare CR in a header', withHeaders('X: a\rb'), 400, /CR|control/)
refuses('a bare LF at a line end', Buffer.from('GET / HTTP/1.1\nHost: x\n\n'), 400, /LF|control/)
refuses('no Host', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 400, /Host/)
refuses('two Hosts', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'), 400, /Host/)
refuses('a Host that is none', Buffer.from('GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'), 400, /Host/)
refuses('HTTP/2.0', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 505, /HTTP\/1/)
refuses('HTTP/1.2', Buffer.from('GET / HTTP/1.2\r\nHost: x\r\n\r\n'), 505, /HTTP\/1/)
refuses('HTTP/0.9', Buffer.from('GET /\r\n\r\n'), 400, /version|target/)
refuses('a request line of garbage', Buffer.from('hello\r\n\r\n'), 400, /./)
refuses('a TLS hello', Buffer.from('16030100f5010000f13030740d0a', 'hex'), 400, /./)
refuses('a space in the target', Buffer.from('GET /a b HTTP/1.1\r\nHost: x\r\n\r\n'), 400, /./)
refuses('a target with raw UTF-8', Buffer.from('GET /é HTTP/1.1\r\nHost: x\r\n\r\n'), 400, /target/)
refuses('a fragment in the target', Buffer.from('GET /#x HTTP/1.1\r\nHost: x\r\n\r\n'), 400, /target/)
refuses('a target of another form', Buffer.from('CONNECT host:80 HTTP/1.1\r\nHost: x\r\n\r\n'), 400, /target/)
refuses('many empty lines', Buffer.from('\r\n'.repeat(10)), 400, /empty line/)
refuses(
  'chunks in HTTP/1.0',
  Buffer.from(`POST ${SYNC} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  400,
  /HTTP\/1\.0/,
)

const withChunks = (text) =>
  Buffer.from(`POST ${SYNC} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${text}`)
refuses('a chunk size that is no number', withChunks('xyz\r\n'), 400, /chunk/)
refuses('a negative chunk size', withChunks('-5\r\n'), 400, /chunk/)
refuses('an empty chunk size', withChunks('\r\nabc'), 400, /chunk/)
refuses('a chunk of 2^64 bytes', withChunks('10000000000000000\r\n'), 413, /chunk/)
refuses('a chunk that is longer than it says', withChunks('1\r\nab\r\n0\r\n\r\n'), 400, /chunk/)
refuses('a chunk line without an end', withChunks(`1;${'x'.repeat(300)}`), 400, /chunk.* limit is 256/)
refuses('a flood of trailers', withChunks('0\r\n' + 'a: b\r\n'.repeat(40) + '\r\n'), 431, /trailers; the limit is 16/)

// ---- floods ----

refuses(
  '65 headers and more',
  withHeaders(...Array.from({ length: 80 }, (_, i) => `x${i}: y`)),
  431,
  /headers; the limit is 64/,
)
refuses(
  'a head of 17 KiB',
  withHeaders(...Array.from({ length: 20 }, (_, i) => `x${i}: ${'y'.repeat(900)}`)),
  431,
  /head has .* limit is 16384/,
)
refuses(
  'a header without an end',
  Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(40_000)}`),
  431,
  /head has .* limit is 16384/,
)
refuses(
  'a target of 9,000 bytes',
  Buffer.from(`GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: x\r\n\r\n`),
  414,
  /target has .* limit is 8192/,
)
refuses('a target without an end', Buffer.from(`GET /${'a'.repeat(40_000)}`), 414, /limit is 16384/)
refuses('a method without an end', Buffer.from('A'.repeat(40_000)), 414, /limit is 16384/)

httpTest('64 headers are good', async () => {
  const headers = Object.fromEntries(Array.from({ length: 62 }, (_, i) => [`x${i}`, 'y']))
  isPong(await ask(server, 'POST', SYNC, { headers, body: pingText(1) }), 1) // with Host and length
})

httpTest('a body that ends early is no request', async () => {
  const client = await HttpClient.connect(server, { allowHalfOpen: true })
  const storeId = newStore('cut')
  client.wire.socket.end(pushRequest(storeId, 1, 1).subarray(0, -2))
  await client.wire.untilClosed()
  assert.equal((await pullOverHttp(server, storeId)).chunks.last, 0)
})

httpTest('random bytes end nothing but their connection', async () => {
  let seed = 12345
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) >>> 8
  const template = pushRequest('random', 1, 1)
  for (let i = 0; i < 200; i++) {
    const bytes = Buffer.from(template)
    for (let j = 0; j <= i % 5; j++) {
      bytes[random() % bytes.length] = random()
    }
    const client = await HttpClient.connect(server, { allowHalfOpen: true })
    client.wire.socket.end(bytes)
    await client.wire.until(() => client.wire.peerEnded, 'an answer or the end', { evenClosed: true })
    client.close()
  }
})

test('the server ends well after all of this', () => server.stop())
