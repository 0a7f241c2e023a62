// doors: the plain-HTTP protocols: pushes, and the pulls of S2 (an event stream) and of Electric (a page
// a request, with long polls). What the server sends is checked as strictly as its clients' decoders do.
import assert from 'node:assert/strict'
import { HttpClient, ask, buildRequest, parseHead, takeChunks } from './http.mjs'
import { Wire } from './wire.mjs'

// JSON as a query parameter, encoded as often as asked; an object or any text.
export function argsTarget(path, args, { times = 1 } = {}) {
  let text = typeof args === 'string' ? args : JSON.stringify(args)
  for (let i = 0; i < times; i++) {
    text = encodeURIComponent(text)
  }
  return `${path}?args=${text}`
}

export const s2Args = (storeId, { after = 'from-start', live = false, ...rest } = {}) => ({
  storeId,
  s2SeqNum: after,
  live,
  ...rest,
})

// `at`: null, or { offset, handle }.
export const electricArgs = (storeId, { at = null, live = false, ...rest } = {}) => ({
  _tag: '@livestore/sync-electric.Pull',
  storeId,
  handle: at === null ? { _tag: 'None' } : { _tag: 'Some', value: at },
  live,
  ...rest,
})

// ---- pushes ----

const TAGS = { '/electric': '"_tag":"@livestore/sync-electric.Push",' }

// `events` are texts, as `chain` makes them.
export const pushBody = (storeId, events, path = '/s2') =>
  `{${TAGS[path] ?? ''}"storeId":${JSON.stringify(storeId)},"batch":[${events.join(',')}]}`

export function readPushAnswer(response) {
  assert.equal(response.headers['content-type'], 'application/json', response.text)
  const answer = response.json()
  if (response.status === 200) {
    assert.deepEqual(answer, { success: true })
  } else {
    assert.equal(answer.success, false)
    assert.match(answer.error, /^[A-Z_]+$/)
    assert.ok(answer.message.length > 0)
    assert.equal('minimumExpectedNum' in answer, answer.error === 'SERVER_AHEAD')
  }
  return { status: response.status, ...answer }
}

export const pushText = async (server, path, body, options = {}) =>
  readPushAnswer(
    await ask(server, 'POST', path, {
      ...options,
      body,
      headers: { 'content-type': 'application/json', ...options.headers },
    }),
  )

export const push = (server, path, storeId, events) =>
  pushText(server, path, pushBody(storeId, events, path))

// Many events, in batches.
export async function fill(server, path, storeId, events) {
  for (let at = 0; at < events.length; at += 500) {
    assert.equal((await push(server, path, storeId, events.slice(at, at + 500))).status, 200)
  }
}

// ---- S2 ----

const isCount = (value) => Number.isSafeInteger(value) && value >= 0

// A pull over S2. `records` are those of all its batches so far, dense from the first on.
export class EventStream {
  constructor(wire) {
    this.wire = wire
    this.head = null
    this.events = [] // { event, data, id }
    this.records = [] // { position, timestamp, event }
    this.batches = [] // { count, tail }
    this.pings = 0
    this.errors = []
    this.done = false // [DONE] came
    this.ended = false // the response is complete
    this.text = ''
    wire.onBytes = () => this.#read()
  }

  // Sends the request; resolves without waiting for the answer.
  static async start(server, args, { path = '/s2', times, headers, version, connect = {}, behind = '' } = {}) {
    const wire = await Wire.connect({ port: server.port, ...connect })
    const stream = new EventStream(wire)
    const all = { accept: 'text/event-stream', ...headers }
    const target = argsTarget(path, args, { times })
    wire.write(Buffer.concat([buildRequest('GET', target, { headers: all, version }), Buffer.from(behind)]))
    return stream
  }

  // Resolves when the answer has begun.
  static async open(server, args, options) {
    const stream = await EventStream.start(server, args, options)
    await stream.until(() => stream.head, 'the head of a stream')
    return stream
  }

  // All of a pull that is not live.
  static async all(server, args, options) {
    const stream = await EventStream.start(server, args, options)
    await stream.untilEnd()
    stream.close()
    return stream
  }

  #read() {
    if (this.ended) {
      return
    }
    if (!this.head) {
      const end = this.wire.bytes.indexOf('\r\n\r\n')
      if (end < 0) {
        return
      }
      this.head = parseHead(this.wire.bytes.toString('latin1', 0, end))
      this.wire.skip(end + 4)
      assert.equal(this.head.headers['access-control-allow-origin'], '*')
      assert.equal(this.head.headers['cache-control'], 'no-store')
    }
    const body = []
    if (this.head.headers['transfer-encoding'] === 'chunked') {
      this.ended = takeChunks(this.wire, body)
    } else if (this.head.headers['content-length'] !== undefined) {
      this.#readSized(Number(this.head.headers['content-length']), body)
    } else {
      body.push(Buffer.from(this.wire.bytes))
      this.wire.skip(body[0].length)
    }
    if (this.head.headers['content-type'] !== 'text/event-stream') {
      return // refused by the connection, not by the endpoint
    }
    this.text += Buffer.concat(body).toString('utf8')
    this.#takeEvents()
    assert.ok(!this.ended || this.text === '', `an event without its end: ${this.text}`)
  }

  #readSized(bytes, body) {
    if (this.wire.bytes.length >= bytes) {
      body.push(Buffer.from(this.wire.bytes.subarray(0, bytes)))
      this.wire.skip(bytes)
      this.ended = true
    }
  }

  #takeEvents() {
    const parts = this.text.split('\n\n')
    this.text = parts.pop()
    for (const part of parts) {
      const event = { event: 'message', data: null, id: null }
      for (const line of part.split('\n')) {
        const [, field, value] = /^(event|data|id): (.*)$/.exec(line) ?? assert.fail(`a line: ${line}`)
        assert.ok(field === 'event' || event[field] === null, `one ${field} an event`)
        event[field] = value
      }
      this.#take(event)
    }
  }

  #take(event) {
    assert.ok(!this.done && this.errors.length === 0, 'nothing follows the last event')
    this.events.push(event)
    switch (event.event) {
      case 'batch':
        this.#takeBatch(JSON.parse(event.data), event.id)
        break
      case 'ping':
        assert.ok(isCount(JSON.parse(event.data).timestamp))
        this.pings++
        break
      case 'error':
        this.errors.push(JSON.parse(event.data))
        break
      default:
        assert.equal(event.event, 'message')
        assert.equal(event.data, '[DONE]')
        this.done = true
    }
  }

  #takeBatch(batch, id) {
    assert.deepEqual(Object.keys(batch), ['records', 'tail'])
    assert.ok(batch.records.length > 0, 'a batch has records')
    for (const record of batch.records) {
      assert.deepEqual(Object.keys(record), ['body', 'seq_num', 'timestamp'])
      assert.ok(isCount(record.seq_num) && isCount(record.timestamp))
      const previous = this.records.at(-1)
      assert.ok(!previous || record.seq_num === previous.position + 1, 'positions are dense')
      const event = JSON.parse(record.body)
      assert.ok(!previous || event.parentSeqNum === previous.event.seqNum, 'one chain')
      this.records.push({ position: record.seq_num, timestamp: record.timestamp, event })
    }
    const last = this.records.at(-1)
    assert.equal(id, String(last.position))
    assert.deepEqual(Object.keys(batch.tail), ['seq_num', 'timestamp'])
    assert.ok(batch.tail.seq_num > last.position && isCount(batch.tail.timestamp))
    this.batches.push({ count: batch.records.length, tail: batch.tail.seq_num, id })
  }

  get seqs() {
    return this.records.map(({ event }) => event.seqNum)
  }

  get positions() {
    return this.records.map(({ position }) => position)
  }

  until(probe, what, options) {
    return this.wire.until(probe, what, options)
  }

  untilRecords(count) {
    return this.until(() => this.records.length >= count, `${count} records, after ${this.records.length}`)
  }

  // The response is complete, by its last chunk, its length or, for HTTP/1.0, the connection's end.
  async untilEnd() {
    const byClose = () =>
      this.wire.closed && this.head && !('transfer-encoding' in this.head.headers) && this.text === ''
    await this.until(() => this.ended || byClose(), 'the end of a stream')
    this.ended = true
  }

  close() {
    this.wire.destroy()
  }
}

// ---- Electric ----

const INSERT = { operation: 'insert', relation: ['public', 'events'] }

export function readElectricAnswer(response) {
  const { status, headers } = response
  const answer = { status, headers, events: [], upToDate: false, at: null }
  if (status !== 200 && status !== 204) {
    assert.ok(![400, 401, 409].includes(status), `${status} means something else to the client`)
    return { ...answer, ...readPushAnswer(response) }
  }
  answer.at = { offset: headers['electric-offset'], handle: headers['electric-handle'] }
  assert.match(answer.at.offset, /^\d+_[01]$/)
  assert.match(answer.at.handle, /^\S{1,64}$/)
  assert.equal(headers['access-control-expose-headers'], 'electric-handle, electric-offset')
  assert.equal(headers['cache-control'], 'no-store')
  if (status === 204) {
    return answer
  }
  assert.equal(headers['content-type'], 'application/json')
  const items = response.json()
  if (items.length > 0 && 'control' in items.at(-1).headers) {
    assert.deepEqual(items.pop(), { headers: { control: 'up-to-date' } })
    answer.upToDate = true
  }
  answer.events = items.map(({ key, value, headers: itemHeaders, ...rest }) => {
    assert.deepEqual(rest, {})
    assert.deepEqual(itemHeaders, INSERT)
    assert.equal(key, `"public"."events"/"${value.seqNum}"`)
    for (const field of ['seqNum', 'parentSeqNum', 'name', 'args', 'clientId', 'sessionId']) {
      assert.equal(typeof value[field], 'string', field)
    }
    JSON.parse(value.args)
    return { ...value, seqNum: Number(value.seqNum), parentSeqNum: Number(value.parentSeqNum) }
  })
  return answer
}

// One pull over Electric; on `client`, or a connection of its own.
export async function pullElectric(server, storeId, { at, live, path = '/electric', times, client } = {}) {
  const target = argsTarget(path, electricArgs(storeId, { at, live }), { times })
  return readElectricAnswer(client ? await client.ask('GET', target) : await ask(server, 'GET', target))
}

// What the client does: asks live for more and more, and holds what it got.
export class ElectricPuller {
  constructor(client, server, storeId) {
    Object.assign(this, { client, server, storeId, at: null, events: [], polls: 0 })
  }

  static async open(server, storeId) {
    return new ElectricPuller(await HttpClient.connect(server), server, storeId)
  }

  async poll() {
    const { client, storeId, at } = this
    const answer = await pullElectric(this.server, storeId, { at, live: true, client })
    assert.ok(answer.at, answer.message)
    for (const event of answer.events) {
      assert.equal(event.parentSeqNum, this.last, 'one chain')
      this.events.push(event)
    }
    this.at = answer.at
    this.polls++
    return answer
  }

  get last() {
    return this.events.at(-1)?.seqNum ?? 0
  }

  async untilEvent(seq) {
    while (this.last < seq) {
      await this.poll()
    }
  }

  // Until the next poll would wait.
  async catchUp() {
    while ((await this.poll()).events.length > 0) {}
  }

  close() {
    this.client.close()
  }
}
