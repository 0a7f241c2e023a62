// sync: the messages of sync-cf, as both client dialects write them ("v3" has string ids and bare
// causes, "v4" numbers and arrays of causes), over a WebSocket or over HTTP.
import assert from 'node:assert/strict'
import { ask, syncTarget } from './http.mjs'
import { argsTexts } from './json_text.mjs'
import { WsClient } from './ws.mjs'

// An event as JSON text, so that `args` (text too) keeps its form. `args: null` leaves it out.
export function eventText({
  seq,
  parent = seq - 1,
  args = '{}',
  name = 'v1.Noted',
  client = 'c1',
  session = 's1',
}) {
  const fields = [`"name":${JSON.stringify(name)}`]
  if (args !== null) {
    fields.push(`"args":${args}`)
  }
  fields.push(`"seqNum":${seq}`, `"parentSeqNum":${parent}`)
  fields.push(`"clientId":${JSON.stringify(client)}`, `"sessionId":${JSON.stringify(session)}`)
  return `{${fields.join(',')}}`
}

// Events seq = from+1 … from+count, one chain.
export const chain = (from, count, options = {}) =>
  Array.from({ length: count }, (_, i) => eventText({ seq: from + i + 1, ...options }))

export const optionText = (value) =>
  value === null ? '{"_tag":"None"}' : `{"_tag":"Some","value":${JSON.stringify(value)}}`

export const pushPayload = (storeId, events, backendId = null) =>
  `{"storeId":${JSON.stringify(storeId)},"batch":[${events.join(',')}],` +
  `"backendId":${optionText(backendId)}}`

// `cursor`: null, or { backendId, seq }. `live` undefined leaves it out, as over HTTP.
export function pullPayload(storeId, { live, cursor = null } = {}) {
  const value = cursor && { backendId: cursor.backendId, eventSequenceNumber: cursor.seq }
  const liveText = live === undefined ? '' : `"live":${live},`
  return `{"storeId":${JSON.stringify(storeId)},${liveText}"cursor":${optionText(value)}}`
}

export const requestText = (id, tag, payload) =>
  `{"_tag":"Request","id":${JSON.stringify(id)},"tag":"${tag}","payload":${payload},"headers":[]}`

// An Exit's outcome, one form for both dialects, whose shapes are checked.
export function outcome(message) {
  const { requestId, exit } = message
  assert.equal(message._tag, 'Exit')
  if (exit._tag === 'Success') {
    return { ok: true, value: exit.value }
  }
  assert.equal(exit._tag, 'Failure')
  let cause = exit.cause
  if (typeof requestId === 'number') {
    assert.ok(Array.isArray(cause) && cause.length === 1, 'v4 wants an array of one cause')
    cause = cause[0]
  }
  assert.equal(typeof cause._tag, 'string', 'v3 wants one cause, not an array')
  return { ok: false, kind: cause._tag, error: cause.error, defect: cause.defect, cause }
}

// A pull's chunks, checked as they come: at least one value each, well-formed pages.
export class Chunks {
  constructor() {
    this.pages = []
    this.events = [] // { ...eventEncoded, argsText, createdAt }
    this.backendId = null
  }

  add(message, text) {
    assert.ok(Array.isArray(message.values) && message.values.length >= 1, 'values kill if empty')
    const texts = argsTexts(text)
    let index = 0
    for (const page of message.values) {
      assert.deepEqual(Object.keys(page).sort(), ['backendId', 'batch', 'pageInfo'])
      if (this.backendId !== null) {
        assert.equal(page.backendId, this.backendId)
      }
      this.backendId = page.backendId
      const events = page.batch.map(({ eventEncoded, metadata }) => {
        assert.ok('args' in eventEncoded, 'args is always there')
        assert.equal(metadata._tag, 'Some')
        assert.equal(metadata.value._tag, 'SyncMessage.SyncMetadata')
        assert.match(metadata.value.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
        return { ...eventEncoded, argsText: texts[index++], createdAt: metadata.value.createdAt }
      })
      this.pages.push({ events, pageInfo: page.pageInfo })
      this.events.push(...events)
    }
  }

  get seqs() {
    return this.events.map((event) => event.seqNum)
  }

  get last() {
    return this.events.at(-1)?.seqNum ?? 0
  }

  // Whether the pages so far end a catch-up.
  get caughtUp() {
    return this.pages.at(-1)?.pageInfo._tag === 'NoMore'
  }
}

// One request on a SyncSocket, with what has been answered so far.
class Asked extends Chunks {
  constructor(socket, id) {
    super()
    this.socket = socket
    this.id = id
    this.exit = null
  }

  until(probe, what) {
    return this.socket.until(() => probe(this), what)
  }

  // The request's outcome.
  async done(what = `the Exit of ${this.id}`) {
    await this.socket.until(() => this.exit, what)
    return this.exit
  }

  // Every event up to `seq` has come.
  untilEvent(seq) {
    return this.until(() => this.last >= seq, `event ${seq} on pull ${this.id}`)
  }
}

export class SyncSocket {
  constructor(ws, storeId, dialect) {
    this.ws = ws
    this.storeId = storeId
    this.dialect = dialect
    this.nextNumber = 1
    this.asked = new Map() // by the id's JSON text
    this.log = [] // all that came, in order: { kind, id, seqs?, message }
    this.pongs = 0
    this.defects = []
    this.acknowledges = true
    ws.onMessage = (text) => this.#onMessage(text)
    for (const text of ws.messages.splice(0)) {
      this.#onMessage(text)
    }
  }

  static async open(server, storeId, { dialect = 'v4', target, ...options } = {}) {
    const ws = await WsClient.connect(server, target ?? syncTarget(storeId, 'ws'), options)
    return new SyncSocket(ws, storeId, dialect)
  }

  #onMessage(text) {
    const message = JSON.parse(text)
    const entry = { kind: message._tag, id: message.requestId, message }
    this.log.push(entry)
    const asked = this.asked.get(JSON.stringify(message.requestId))
    switch (message._tag) {
      case 'Chunk':
        assert.ok(asked && !asked.exit, `a Chunk for ${message.requestId}, which is over`)
        asked.add(message, text)
        entry.seqs = message.values.flatMap((page) => page.batch.map((event) => event.eventEncoded.seqNum))
        if (this.acknowledges) {
          this.acknowledge(asked.id)
        }
        break
      case 'Exit':
        assert.ok(asked && !asked.exit, `an Exit for ${message.requestId}, which is over`)
        asked.exit = outcome(message)
        break
      case 'Pong':
        this.pongs++
        break
      case 'Defect':
        assert.equal(typeof message.defect, 'string')
        this.defects.push(message.defect)
        break
      default:
        assert.fail(`an unknown message: ${text}`)
    }
  }

  newId() {
    const number = this.nextNumber++
    return this.dialect === 'v3' ? String(number) : number
  }

  send(text) {
    this.ws.sendText(text)
  }

  // Says that a request of this id is on its way (in `text`, which the caller sends).
  expect(id) {
    const asked = new Asked(this, id)
    this.asked.set(JSON.stringify(id), asked)
    return asked
  }

  request(tag, payload, id = this.newId()) {
    const asked = this.expect(id)
    this.send(requestText(id, tag, payload))
    return asked
  }

  pull({ live = true, cursor = null, id } = {}) {
    return this.request('SyncWsRpc.Pull', pullPayload(this.storeId, { live, cursor }), id)
  }

  push(events, { backendId = null, id } = {}) {
    return this.request('SyncWsRpc.Push', pushPayload(this.storeId, events, backendId), id)
  }

  acknowledge(id) {
    this.send(`{"_tag":"Ack","requestId":${JSON.stringify(id)}}`)
  }

  interrupt(id) {
    this.send(`{"_tag":"Interrupt","requestId":${JSON.stringify(id)}}`)
  }

  // A Ping and its Pong: what was sent before has been read by the server.
  async ping() {
    const before = this.pongs
    this.send('{"_tag":"Ping"}')
    await this.until(() => this.pongs > before, 'a Pong')
  }

  until(probe, what) {
    return this.ws.wire.until(probe, what)
  }

  untilClosed(what) {
    return this.ws.untilClosed(what)
  }

  close() {
    this.ws.destroy()
  }
}

// ---- over HTTP ----

// The answer of one POST: the messages, and the pages of its Chunks.
export async function postSync(server, storeId, body, options = {}) {
  const response = await ask(server, 'POST', options.target ?? syncTarget(storeId), {
    body,
    headers: { 'content-type': 'application/json', ...options.headers },
    connect: options.connect,
  })
  return readAnswer(response)
}

export function readAnswer(response) {
  assert.equal(response.headers['content-type'], 'application/json', response.text)
  const messages = response.json()
  assert.ok(Array.isArray(messages), 'an HTTP answer is an array')
  const chunks = new Chunks()
  const texts = argsTexts(response.text)
  for (const message of messages.filter(({ _tag }) => _tag === 'Chunk')) {
    chunks.add(message, JSON.stringify(message))
  }
  chunks.events.forEach((event, i) => (event.argsText = texts[i]))
  const exits = messages.filter(({ _tag }) => _tag === 'Exit').map(outcome)
  return { response, messages, chunks, exits, exit: exits[0] }
}

export const pushOverHttp = (server, storeId, events, { backendId = null, id = 1, ...options } = {}) =>
  postSync(
    server,
    storeId,
    requestText(id, 'SyncHttpRpc.Push', pushPayload(storeId, events, backendId)),
    options,
  )

export const pullOverHttp = (server, storeId, { cursor = null, id = 1, ...options } = {}) =>
  postSync(server, storeId, requestText(id, 'SyncHttpRpc.Pull', pullPayload(storeId, { cursor })), options)

// ---- a witness ----

// Another app on the same server, with a live pull: whatever a test does, it must go on.
export class Bystander {
  static async open(server, options) {
    const self = new Bystander()
    self.socket = await SyncSocket.open(server, 'bystander', options)
    self.pull = self.socket.pull()
    await self.pull.until(() => self.pull.caughtUp, "the bystander's catch-up")
    self.head = self.pull.last
    return self
  }

  async check() {
    const push = this.socket.push(chain(this.head, 1))
    const { ok } = await push.done("the bystander's push")
    assert.ok(ok)
    this.head++
    assert.deepEqual(this.pull.seqs.at(-1), this.head, "the bystander's live pull")
  }

  close() {
    this.socket.close()
  }
}

let stores = 0
export const newStore = (label = 'store') => `${label}-${++stores}`
