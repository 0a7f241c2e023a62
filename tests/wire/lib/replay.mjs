// replay: plays a recorded conversation of a real client, or of hand-made frames, to a server and
// compares the answers with the recorded ones, message by message and request by request.
//
// A recording (transcripts/) has one JSON object a line: `dir` is ">" client to server, "<" server to
// client, "#" a note; `conn` numbers WebSockets, `req` HTTP requests. What is compared: the kinds of
// the messages of each request and their order, the request id with its type, events with the exact
// text of their args, page info, outcomes and typed errors. What is not: backend ids (they must only
// be the same ones throughout), creation times (their form is checked), the order of properties, the
// words of defects and unknown errors, and whether a v3 stream ends with value null or none.
//
// Where this server means to differ, a deviation says so and what is right instead:
//   { conn, request, answers }   the request's answers, in small form (see `small` below)
//   { conn, request, events }           its chunks hold these events, in however many chunks
//   { conn, acknowledges }              each chunk is acknowledged, other than in the recording
//   { conn, refused: [status, text] }   the handshake is refused
//   { conn, opens }                     the handshake, refused in the recording, is good
//   { conn, closes: code, after: n }    the server closes after the client's n-th frame (from 1)
//   { conn, unsent: n }                 the client's n-th frame is left out
//   { req, status, answers | text }     an HTTP answer
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { HttpClient } from './http.mjs'
import { argsTexts } from './json_text.mjs'
import { outcome } from './sync.mjs'
import { HandshakeRefused, OP, WsClient } from './ws.mjs'

// ---- small forms: what is left of a message when all that may differ is gone ----

function smallChunk(message, text) {
  const texts = argsTexts(text)
  let index = 0
  const pages = message.values.map(({ batch, pageInfo }) => ({
    events: batch.map(({ eventEncoded, metadata }) => {
      assert.match(metadata.value.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      // The reference leaves args out of live chunks where the client did; v4 dies of that.
      const argsText = texts[index++] ?? 'null'
      return { ...eventEncoded, args: argsText }
    }),
    pageInfo,
  }))
  return { chunk: pages }
}

function holdsInterrupt(cause) {
  return cause?._tag === 'Interrupt' || (cause?.left && [cause.left, cause.right].some(holdsInterrupt))
}

function smallExit(message, isOurs) {
  const { exit, requestId } = message
  if (exit._tag === 'Success') {
    return { exit: 'ok', value: exit.value ?? null }
  }
  if (isOurs) {
    outcome(message) // asserts the dialect's shape of a cause
    if (typeof requestId === 'string' && holdsInterrupt(exit.cause)) {
      assert.deepEqual(exit.cause, { _tag: 'Interrupt', fiberId: { _tag: 'None' } })
    }
  }
  const cause = Array.isArray(exit.cause) ? exit.cause[0] : exit.cause
  if (holdsInterrupt(cause)) {
    return { exit: 'interrupt' }
  }
  if (cause._tag === 'Die') {
    if (isOurs) {
      assert.equal(typeof cause.defect, 'string')
    }
    return { exit: 'die' }
  }
  const { expected, ...error } = cause.error
  if (error._tag === 'UnknownError') {
    if (isOurs) {
      assert.equal(typeof error.cause, 'string', 'the clients need a cause')
    }
    return { exit: 'fail', error: { _tag: error._tag } }
  }
  return { exit: 'fail', error }
}

function small(message, text, isOurs) {
  switch (message._tag) {
    case 'Chunk':
      return smallChunk(message, text)
    case 'Exit':
      return smallExit(message, isOurs)
    default:
      return message._tag // Pong, Defect
  }
}

// For the table of deviations.
export const form = {
  ok: { exit: 'ok', value: {} },
  end: { exit: 'ok', value: null },
  die: { exit: 'die' },
  interrupt: { exit: 'interrupt' },
  fail: (error) => ({ exit: 'fail', error }),
  unknownError: { exit: 'fail', error: { _tag: 'UnknownError' } },
  serverAhead: (head, provided) => ({
    exit: 'fail',
    error: { _tag: 'ServerAheadError', minimumExpectedNum: head, providedNum: provided },
  }),
  // Events in the recordings' usual form; `changes` for those that differ.
  page: (seqs, changes = {}) => ({
    chunk: [
      {
        events: seqs.map((seq) => ({
          name: 'v1.TodoCreated',
          args: `{"id":"x${seq}","text":"t${seq}"}`,
          seqNum: seq,
          parentSeqNum: seq - 1,
          clientId: 'c1',
          sessionId: 's1',
          ...changes,
        })),
        pageInfo: { _tag: 'NoMore' },
      },
    ],
  }),
}

// ---- a recording ----

const keyOf = (message) =>
  message._tag === 'Chunk' || message._tag === 'Exit' ? JSON.stringify(message.requestId) : message._tag

const backendIdOf = (message) =>
  message.values?.[0]?.backendId ?? [message.exit?.cause].flat()[0]?.error?.expected // of a BackendIdMismatchError

const storeOf = (url) => new URL(url, 'http://x').searchParams.get('storeId')

export function readRecording(file) {
  return fs
    .readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

// When a client leaves, the reference interrupts what still ran and tries to say so.
function isLastWord(message, interrupted) {
  return (
    message._tag === 'Exit' &&
    message.exit._tag === 'Failure' &&
    smallExit(message, false).exit === 'interrupt' &&
    !interrupted.has(JSON.stringify(message.requestId))
  )
}

class Replay {
  constructor(server, lines, deviations) {
    this.server = server
    this.lines = lines
    this.deviations = deviations
    this.conns = new Map()
    this.reqs = new Map()
    this.recordedIds = new Map() // backend ids by store
    this.ourIds = new Map()
  }

  // Our backend id in place of the recorded one.
  substitute(text) {
    let result = text
    for (const [store, recorded] of this.recordedIds) {
      if (this.ourIds.has(store)) {
        result = result.replaceAll(JSON.stringify(recorded), JSON.stringify(this.ourIds.get(store)))
      }
    }
    return result
  }

  learn(ids, store, message) {
    const id = backendIdOf(message)
    if (id !== undefined) {
      assert.equal(ids.get(store) ?? id, id, `one backend id for ${store}`)
      ids.set(store, id)
    }
  }

  deviation(match) {
    return this.deviations.find(match)
  }

  // ---- WebSockets ----

  async connect(line) {
    const url = line.data.replace(/^ws \d+ connect http:\/\/[^/]*/, '')
    const conn = {
      number: line.conn,
      store: storeOf(url),
      ws: null,
      sent: 0,
      pings: 0,
      taken: new Map(), // how many recorded answers of each key have been compared
      recorded: this.#recordedAnswers(line.conn),
      came: new Map(), // ours, in small form
      over: false,
    }
    this.conns.set(line.conn, conn)
    const refused = this.#refusal(line.conn)
    const acknowledges = this.deviation((d) => d.conn === line.conn && d.acknowledges)
    try {
      conn.ws = await WsClient.connect(this.server, url)
    } catch (error) {
      if (!refused || !(error instanceof HandshakeRefused)) {
        throw error
      }
      conn.over = true
      assert.equal(error.response.status, refused[0])
      assert.match(error.response.text, refused[1])
      return
    }
    assert.ok(!refused, `connection ${line.conn} was to be refused`)
    conn.ws.onMessage = (text) => {
      const message = JSON.parse(text)
      this.learn(this.ourIds, conn.store, message)
      const key = keyOf(message)
      const list = conn.came.get(key) ?? []
      conn.came.set(key, [...list, small(message, text, true)])
      if (acknowledges && message._tag === 'Chunk') {
        conn.ws.sendText(JSON.stringify({ _tag: 'Ack', requestId: message.requestId }))
      }
    }
  }

  // What the handshake of a connection is to be refused with; none: it opens.
  #refusal(number) {
    const deviation = this.deviation((d) => d.conn === number && (d.refused || d.opens))
    const recorded = this.lines.find((line) => line.conn === number && 'status' in line)
    return deviation ? deviation.refused : recorded && [recorded.status, /./]
  }

  #recordedAnswers(number) {
    const answers = new Map()
    const interrupted = new Set()
    for (const line of this.lines.filter((line) => line.conn === number && !('status' in line))) {
      if (line.dir === '>' && line.data.startsWith('{"_tag":"Interrupt"')) {
        interrupted.add(JSON.stringify(JSON.parse(line.data).requestId))
      } else if (line.dir === '<') {
        const message = JSON.parse(line.data)
        if (!isLastWord(message, interrupted)) {
          const key = keyOf(message)
          answers.set(key, [...(answers.get(key) ?? []), small(message, line.data, false)])
        }
      }
    }
    return answers
  }

  // A deviation names a request by its id, in either dialect's type, or by its JSON text.
  ofRequest(conn, key) {
    const id = /^"(.*)"$/.exec(key)?.[1] ?? key
    return this.deviation(
      (d) => d.conn === conn.number && (d.requestText === key || String(d.request) === id),
    )
  }

  expected(conn, key) {
    return this.ofRequest(conn, key)?.answers ?? conn.recorded.get(key) ?? []
  }

  async compareEvents(conn, key, seqs) {
    const came = () => (conn.came.get(key) ?? []).flatMap(({ chunk }) => chunk)
    const events = () => came().flatMap((page) => page.events)
    await conn.ws.wire.until(() => events().length >= seqs.length, `events on ${key}`)
    const recorded = conn.recorded.get(key).flatMap(({ chunk }) => chunk)
    const known = new Map(recorded.flatMap(({ events }) => events).map((e) => [e.seqNum, e]))
    assert.deepEqual(
      events().map(({ seqNum }) => seqNum),
      seqs,
    )
    for (const event of events()) {
      assert.deepEqual(event, known.get(event.seqNum) ?? event)
    }
  }

  async compareNext(conn, key, index) {
    const expected = this.expected(conn, key)[index]
    const what = `answer ${index + 1} to ${key} on connection ${conn.number}`
    const came = await conn.ws.wire.until(() => conn.came.get(key)?.[index], what)
    if (typeof expected === 'function') {
      expected(came)
    } else {
      assert.deepEqual(came, expected, what)
    }
  }

  // What was sent on another connection is read before: which of two sockets a server reads first is
  // nobody's to say.
  async readBefore(conn) {
    const last = this.lastSender
    this.lastSender = conn
    if (last !== undefined && last !== conn && !last.over && !last.ws.wire.closed) {
      const before = last.ws.pongs.length
      last.ws.sendFrame(OP.ping, '')
      await last.ws.wire.until(() => last.ws.pongs.length > before || last.ws.close, 'a pong')
    }
  }

  async send(line) {
    const conn = this.conns.get(line.conn)
    conn.sent++
    const unsent = this.deviation((d) => d.conn === line.conn && d.unsent === conn.sent)
    if (conn.over || unsent) {
      return
    }
    await this.readBefore(conn)
    const binary = /^<binary \d+> /.exec(line.data)
    const text = this.substitute(binary ? line.data.slice(binary[0].length) : line.data)
    conn.ws.sendFrame(binary ? OP.binary : OP.text, text)
    const closes = this.deviation((d) => d.conn === line.conn && d.after === conn.sent)
    if (closes) {
      conn.over = true
      const { code, reason } = await conn.ws.untilClosed()
      assert.equal(code, closes.closes, reason)
    }
  }

  async receive(line) {
    const conn = this.conns.get(line.conn)
    if ('status' in line) {
      return // see connect
    }
    const message = JSON.parse(line.data)
    this.learn(this.recordedIds, conn.store, message)
    const key = keyOf(message)
    const index = conn.taken.get(key) ?? 0
    conn.taken.set(key, index + 1)
    const comparesLater = this.ofRequest(conn, key)?.events
    if (!conn.over && !comparesLater && index < this.expected(conn, key).length) {
      await this.compareNext(conn, key, index)
    }
  }

  // Of all requests that are to be answered, and of all that were.
  #keysOf(conn) {
    const keys = new Set([...conn.recorded.keys(), ...conn.came.keys()])
    for (const line of this.lines.filter((line) => line.dir === '>' && line.conn === conn.number)) {
      const asked = /"_tag":"Request","id":("[^"]*"|[^,}]+)/g
      for (const [, id] of line.data.matchAll(asked)) {
        keys.add(id)
      }
    }
    return keys.add('Defect')
  }

  // All answers, those that only we give too, and nothing else.
  async finish(conn) {
    if (conn.over) {
      return
    }
    const loose = [] // compared by their events
    for (const key of this.#keysOf(conn)) {
      const { events } = this.ofRequest(conn, key) ?? {}
      if (events) {
        await this.compareEvents(conn, key, events)
        loose.push(key)
        continue
      }
      const { length } = this.expected(conn, key)
      for (let index = conn.taken.get(key) ?? 0; index < length; index++) {
        await this.compareNext(conn, key, index)
      }
    }
    const pongs = conn.came.get('Pong')?.length ?? 0
    conn.ws.sendText('{"_tag":"Ping"}')
    await conn.ws.wire.until(() => conn.came.get('Pong')?.length > pongs, 'the last Pong')
    for (const [key, list] of conn.came) {
      if (loose.includes(key)) {
        continue
      }
      const extra = key === 'Pong' ? 1 : 0
      const expected = this.expected(conn, key).length + extra
      assert.equal(list.length, expected, `answers to ${key}: ${JSON.stringify(list)}`)
    }
    conn.ws.destroy()
  }

  // ---- HTTP ----

  async ask(line) {
    const client = await HttpClient.connect(this.server)
    const target = line.url.replace(/^http:\/\/[^/]*/, '')
    const options = { headers: line.headers }
    if (line.method === 'POST') {
      options.body = this.substitute(line.data)
    }
    client.send(line.method, target, options)
    this.reqs.set(line.req, { client, line, store: storeOf(target), answered: false })
  }

  async answered(line) {
    const req = this.reqs.get(line.req)
    if (req.answered) {
      return
    }
    req.answered = true
    const parts = this.lines.filter((other) => other.dir === '<' && other.req === line.req)
    const recorded = {
      status: parts[0].status,
      headers: parts[0].headers,
      text: parts.map(({ data }) => data).join(''),
    }
    const response = await req.client.response({ method: req.line.method })
    req.client.close()
    const deviation = this.deviation((d) => d.req === line.req) ?? {}
    assert.equal(response.status, deviation.status ?? recorded.status, `of request ${line.req}`)
    for (const name of ['access-control-allow-methods', 'access-control-allow-headers']) {
      if (req.line.method === 'OPTIONS') {
        assert.ok(response.headers[name], `${name} in the answer to a preflight`)
      }
    }
    if (deviation.text) {
      assert.match(response.text, deviation.text)
      return
    }
    if (recorded.headers['content-type'] !== 'application/json') {
      assert.equal(response.text === '', recorded.text === '', 'a text, or none')
      return
    }
    assert.equal(response.headers['content-type'], 'application/json')
    this.#compareBodies(req, response, recorded, deviation)
  }

  #compareBodies(req, response, recorded, deviation) {
    const ours = response.json()
    const theirs = JSON.parse(recorded.text)
    theirs.forEach((message) => this.learn(this.recordedIds, req.store, message))
    ours.forEach((message) => this.learn(this.ourIds, req.store, message))
    // The texts of args of one message at a time: a recorded body is small.
    const smallAll = (messages, isOurs, text) => {
      const texts = argsTexts(text)
      let at = 0
      return messages.map((message) => {
        const result = small(message, JSON.stringify(message), isOurs)
        for (const page of result.chunk ?? []) {
          page.events.forEach((event) => (event.args = texts[at++] ?? 'null'))
        }
        return result
      })
    }
    const expected = deviation.answers ?? smallAll(theirs, false, recorded.text)
    assert.deepEqual(smallAll(ours, true, response.text), expected)
    if (!deviation.answers) {
      assert.deepEqual(ours.map(keyOf), theirs.map(keyOf), 'request ids and their types')
    }
  }

  // ---- all of it ----

  async play() {
    for (const line of this.lines) {
      if (line.dir === '#' && /^ws \d+ connect /.test(line.data)) {
        await this.connect(line)
      } else if (line.dir === '#' && /^ws \d+ close/.test(line.data)) {
        const conn = this.conns.get(line.conn)
        conn.over = true
        conn.ws?.destroy()
      } else if (line.dir === '>' && line.conn) {
        await this.send(line)
      } else if (line.dir === '<' && line.conn) {
        await this.receive(line)
      } else if (line.dir === '>') {
        await this.ask(line)
      } else if (line.dir === '<') {
        await this.answered(line)
      }
    }
    for (const conn of this.conns.values()) {
      await this.finish(conn)
    }
  }

  release() {
    this.conns.forEach(({ ws }) => ws?.destroy())
    this.reqs.forEach(({ client }) => client.close())
  }
}

export async function replay(server, file, deviations) {
  const run = new Replay(server, readRecording(file), deviations)
  try {
    await run.play()
  } finally {
    run.release()
  }
}
