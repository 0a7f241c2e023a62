// A sync-cf server of a few lines that does what is right until a test tells it otherwise. A test's
// hooks see everything first and may do something else:
//
//     accepted(conn)           a connection has come; true: nothing is read from it
//     head(conn, request)      an HTTP request, or a WebSocket's handshake; true: it was answered
//     message(conn, message)   a message; true: it was dealt with

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'

const acceptGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** An unmasked frame, as servers send it. */
export const frame = (payload, { opcode = 1, fin = true } = {}) => {
  const body = Buffer.from(payload)
  const head = Buffer.alloc(body.length < 126 ? 2 : body.length < 65536 ? 4 : 10)
  head[0] = (fin ? 0x80 : 0) | opcode
  head[1] = body.length < 126 ? body.length : body.length < 65536 ? 126 : 127
  if (head.length === 4) head.writeUInt16BE(body.length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(body.length), 2)
  return Buffer.concat([head, body])
}

export const makeEvent = (n, args = { n }) => ({
  name: 'made',
  args,
  seqNum: n,
  parentSeqNum: n - 1,
  clientId: 'fake',
  sessionId: 'session',
})

export const makeEvents = (count, args) => Array.from({ length: count }, (_, i) => makeEvent(i + 1, args?.(i + 1)))

export const backendId = 'fake-backend'

/** A page, as a Chunk's value. */
export const page = (events, { more = 'NoMore', remaining, metadata } = {}) => ({
  batch: events.map((eventEncoded) => ({
    eventEncoded,
    metadata: metadata ?? { _tag: 'Some', value: { _tag: 'SyncMessage.SyncMetadata', createdAt: '2026-01-01T00:00:00.000Z' } },
  })),
  pageInfo: { _tag: more, ...(remaining === undefined ? {} : { remaining }) },
  backendId,
})

export const chunk = (requestId, ...values) => ({ _tag: 'Chunk', requestId, values })
export const exit = (requestId, result) => ({ _tag: 'Exit', requestId, exit: result })
export const success = (requestId, value) => exit(requestId, { _tag: 'Success', value })
export const failure = (requestId, cause) => exit(requestId, { _tag: 'Failure', cause })
export const fail = (requestId, error) => failure(requestId, { _tag: 'Fail', error })

export const ahead = (head, provided) => ({
  _tag: 'ServerAheadError',
  minimumExpectedNum: head,
  providedNum: provided,
})

class Connection {
  input = Buffer.alloc(0)
  upgraded = false
  lives = new Set() // ids of live pulls

  constructor(server, socket, number) {
    Object.assign(this, { server, socket, number })
  }

  raw(bytes) {
    if (!this.socket.destroyed) this.socket.write(bytes)
  }

  /** A message as one text frame; over HTTP a whole answer: the messages of an array. */
  send(...messages) {
    for (const message of messages) if (message._tag === 'Exit') this.lives.delete(message.requestId)
    if (this.upgraded) for (const message of messages) this.raw(frame(JSON.stringify(message)))
    else this.respond(200, JSON.stringify(messages), { 'content-type': 'application/json' })
  }

  respond(status, body, headers = {}) {
    const lines = [`HTTP/1.1 ${status} Whatever`, `content-length: ${Buffer.byteLength(body)}`]
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
    this.raw(`${lines.join('\r\n')}\r\n\r\n${body}`)
  }

  /** The bytes that make a WebSocket of it. */
  upgradeBytes(request) {
    const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + acceptGuid).digest('base64')
    return Buffer.from(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    )
  }

  upgrade(request) {
    this.upgraded = true
    this.raw(this.upgradeBytes(request))
  }

  close(code, reason = '') {
    const payload = Buffer.alloc(2 + reason.length)
    payload.writeUInt16BE(code)
    payload.write(reason, 2)
    this.raw(frame(payload, { opcode: 8 }))
    this.socket.end()
  }

  /** Ends it so that what was written last still arrives. */
  end() {
    this.socket.end()
  }

  cut() {
    this.socket.resetAndDestroy()
  }
}

/** Takes a request off the front of the connection's input, or a message; undefined: more must come. */
const takeRequest = (conn) => {
  const end = conn.input.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [first, ...lines] = conn.input.subarray(0, end).toString('latin1').split('\r\n')
  const [method, target] = first.split(' ')
  const headers = Object.fromEntries(lines.map((line) => [line.split(':')[0].toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
  const length = Number(headers['content-length'] ?? 0)
  if (conn.input.length < end + 4 + length) return undefined
  const body = conn.input.subarray(end + 4, end + 4 + length).toString()
  conn.input = conn.input.subarray(end + 4 + length)
  return { method, target, headers, body }
}

const takeFrame = (conn) => {
  const { input } = conn
  if (input.length < 2) return undefined
  const short = input[1] & 0x7f
  const headBytes = (short < 126 ? 2 : short === 126 ? 4 : 10) + 4
  if (input.length < headBytes) return undefined
  const bytes = short < 126 ? short : short === 126 ? input.readUInt16BE(2) : Number(input.readBigUInt64BE(2))
  if (input.length < headBytes + bytes) return undefined
  const mask = input.subarray(headBytes - 4, headBytes)
  const payload = Buffer.from(input.subarray(headBytes, headBytes + bytes))
  for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i & 3]
  conn.input = input.subarray(headBytes + bytes)
  return { opcode: input[0] & 15, payload }
}

class FakeServer {
  log = []
  hooks = {}
  pageSize = 100
  connections = []
  /** Every message that came, with the number of its connection. */
  messages = []
  requests = []
  /** As the reference server: a push that is stored already is refused as well. */
  strict = false

  get head() {
    return this.log.at(-1)?.seqNum ?? 0
  }

  get ws() {
    return `${this.secure ? 'wss' : 'ws'}://127.0.0.1:${this.port}`
  }

  get http() {
    return `${this.secure ? 'https' : 'http'}://127.0.0.1:${this.port}`
  }

  count(tag) {
    return this.messages.filter(({ message }) => (message.tag ?? message._tag) === tag).length
  }

  accept(socket) {
    const conn = new Connection(this, socket, this.connections.length + 1)
    this.connections.push(conn)
    socket.on('error', () => {})
    socket.setNoDelay(true)
    if (this.hooks.accepted?.(conn) === true) return
    socket.on('data', (bytes) => {
      conn.input = Buffer.concat([conn.input, bytes])
      this.read(conn)
    })
    socket.on('end', () => socket.end())
  }

  read(conn) {
    for (;;) {
      if (!conn.upgraded) {
        const request = takeRequest(conn)
        if (request === undefined) return
        this.requests.push(request)
        if (this.hooks.head?.(conn, request) === true) continue
        if (request.headers.upgrade !== undefined) conn.upgrade(request)
        else this.take(conn, JSON.parse(request.body))
      } else {
        const taken = takeFrame(conn)
        if (taken === undefined) return
        if (taken.opcode === 1) this.take(conn, JSON.parse(taken.payload.toString()))
        if (taken.opcode === 8) conn.socket.end()
      }
    }
  }

  take(conn, message) {
    this.messages.push({ connection: conn.number, message })
    if (message.payload?.live === true) conn.lives.add(message.id)
    if (this.hooks.message?.(conn, message) === true) return
    this.answer(conn, message)
  }

  /** What is right. */
  answer(conn, message) {
    if (message._tag === 'Ping') conn.send({ _tag: 'Pong' })
    if (message._tag === 'Interrupt') {
      conn.send(failure(message.requestId, { _tag: 'Interrupt', fiberId: { _tag: 'None' } }))
    }
    if (message.tag?.endsWith('.Ping')) conn.send(success(message.id, { _tag: 'SyncMessage.Pong' }))
    if (message.tag?.endsWith('.Pull')) this.pull(conn, message)
    if (message.tag?.endsWith('.Push')) this.push(conn, message)
  }

  /** The pages of a pull. */
  pages(cursor) {
    const events = this.log.filter(({ seqNum }) => seqNum > cursor)
    const pages = []
    do {
      const piece = events.splice(0, this.pageSize)
      pages.push(page(piece, events.length > 0 ? { more: 'MoreKnown', remaining: events.length } : {}))
    } while (events.length > 0)
    return pages
  }

  static cursorOf(message) {
    return message.payload.cursor.value?.eventSequenceNumber ?? 0
  }

  pull(conn, message) {
    const chunks = this.pages(FakeServer.cursorOf(message)).map((one) => chunk(message.id, one))
    const isLive = message.payload.live === true
    conn.send(...chunks, ...(isLive ? [] : [success(message.id, null)]))
  }

  /** Appends, and tells the live pulls. */
  append(events) {
    this.log.push(...events)
    for (const conn of this.connections) {
      for (const id of conn.lives) conn.send(chunk(id, page(events)))
    }
  }

  /** `true` when it was stored, now or before. */
  admit(batch) {
    const parent = batch[0]?.parentSeqNum
    const stored = this.log.filter(({ seqNum }) => seqNum > parent).slice(0, batch.length)
    if (parent === this.head) this.append(batch)
    else if (this.strict || JSON.stringify(stored.map(({ args }) => args)) !== JSON.stringify(batch.map(({ args }) => args))) return false
    return true
  }

  push(conn, message) {
    const { batch } = message.payload
    if (batch.length === 0 || this.admit(batch)) conn.send(success(message.id, {}))
    else conn.send(fail(message.id, ahead(this.head, batch[0].parentSeqNum)))
  }
}

/** Starts one; it ends with its test. `certificate`: { key, cert } makes it TLS. */
export const startFakeServer = async (t, { hooks = {}, log = [], certificate, port = 0, ...rest } = {}) => {
  const server = Object.assign(new FakeServer(), rest, { hooks, log, secure: certificate !== undefined })
  const accept = (socket) => server.accept(socket)
  const listener = certificate === undefined ? net.createServer(accept) : tls.createServer(certificate, accept)
  listener.on('tlsClientError', () => {})
  listener.listen(port, '127.0.0.1')
  await once(listener, 'listening')
  server.port = listener.address().port
  server.stop = () => {
    for (const conn of server.connections) conn.socket.destroy()
    return new Promise((resolve) => listener.close(() => resolve()))
  }
  t.after(() => (listener.listening ? server.stop() : undefined))
  return server
}

export const { cursorOf } = FakeServer
