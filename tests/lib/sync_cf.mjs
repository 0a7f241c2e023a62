// The sync-cf protocol as its clients speak it (docs/protocol.md), over WebSocket and over HTTP, in both
// dialects: the 0.4.0 client ("v3", request ids are strings) and the next one ("v4", they are numbers).
//
// An event here is `{ name, args, seqNum, parentSeqNum, clientId, sessionId }` with `args` as JSON TEXT,
// both ways, so that a test can tell whether it came back as it went in.

import http from 'node:http'

import { parseKeeping } from './raw_json.mjs'
import { openWebSocket } from './websocket.mjs'

export const none = { _tag: 'None' }
export const some = (value) => ({ _tag: 'Some', value })

const option = (value) => JSON.stringify(value === undefined ? none : some(value))

export const encodeEvent = (event) =>
  `{"name":${JSON.stringify(event.name)},"args":${event.args},"seqNum":${event.seqNum},` +
  `"parentSeqNum":${event.parentSeqNum},"clientId":${JSON.stringify(event.clientId)},` +
  `"sessionId":${JSON.stringify(event.sessionId)}}`

const pushPayload = (storeId, events, backendId) =>
  `{"storeId":${JSON.stringify(storeId)},"batch":[${events.map(encodeEvent).join(',')}],` +
  `"backendId":${option(backendId)}}`

const pullPayload = (storeId, { live, cursor }) =>
  `{"storeId":${JSON.stringify(storeId)},${live === undefined ? '' : `"live":${live},`}` +
  `"cursor":${option(cursor)}}`

const request = (id, tag, payload, dialect) =>
  `{"_tag":"Request","id":${dialect === 'v3' ? `"${id}"` : id},"tag":"${tag}","payload":${payload},` +
  '"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","sampled":true,"headers":[]}'

/** The text of a push request, for those who send it themselves. */
export const pushRequest = ({ id, storeId, events, backendId, dialect = 'v3', transport = 'ws' }) =>
  request(id, transport === 'ws' ? 'SyncWsRpc.Push' : 'SyncHttpRpc.Push', pushPayload(storeId, events, backendId), dialect)

/** The text of a pull request, for those who send it themselves. */
export const pullRequest = ({ id, storeId, live, cursor, dialect = 'v3', transport = 'ws' }) =>
  request(id, transport === 'ws' ? 'SyncWsRpc.Pull' : 'SyncHttpRpc.Pull', pullPayload(storeId, { live, cursor }), dialect)

/** What a pull's chunk says: `{ events, pageInfo, backendId }` of all its pages. */
export const readPages = (values) =>
  values.map(({ batch, pageInfo, backendId }) => ({
    events: batch.map(({ eventEncoded, metadata }) => ({ ...eventEncoded, metadata })),
    pageInfo,
    backendId,
  }))

/** An Exit as `{ ok: true, value }` or `{ ok: false, error }`; an error of the server has its `_tag`. */
const readExit = (exit) => {
  if (exit._tag === 'Success') return { ok: true, value: exit.value }
  const cause = Array.isArray(exit.cause) ? exit.cause[0] : exit.cause
  if (cause._tag === 'Fail') return { ok: false, error: cause.error }
  return { ok: false, error: { _tag: cause._tag, cause: cause.defect } }
}

export const syncPath = (storeId, transport) =>
  `/?storeId=${encodeURIComponent(storeId)}&transport=${transport}`

/** The connection went before the answer came. `wasUsed`: it was an HTTP connection that had answered before. */
export class ConnectionLost extends Error {
  wasUsed = false
}

/** A pull over WebSocket that is under way. */
class WsPull {
  sentChunks = 0
  ended
  #resolveEnded

  constructor(client, idText, onPage, onChunk) {
    Object.assign(this, { client, idText, onPage, onChunk })
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve))
    this.acks = true
  }

  ack() {
    this.client.socket.send(`{"_tag":"Ack","requestId":${this.idText}}`)
  }

  interrupt() {
    this.client.socket.send(`{"_tag":"Interrupt","requestId":${this.idText}}`)
  }

  end(outcome) {
    this.#resolveEnded(outcome)
  }
}

/** A sync-cf client on one WebSocket. It does not reconnect: whoever tests wants to see the end. */
export class WsClient {
  #pushes = new Map()
  #pulls = new Map()
  #pongs = []
  #nextId = 1

  constructor(socket, storeId, dialect) {
    Object.assign(this, { socket, storeId, dialect })
    socket.onMessage = (bytes) => this.#onMessage(bytes)
    this.closed = socket.closed
    void socket.closed.then((close) => this.#onClosed(close))
  }

  #idText(id) {
    return this.dialect === 'v3' ? `"${id}"` : `${id}`
  }

  /** Resolves to `{ ok, error }`; rejects with ConnectionLost. */
  push(events, { backendId } = {}) {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      if (this.socket.isClosed) {
        reject(new ConnectionLost('closed before the push'))
        return
      }
      this.#pushes.set(this.#idText(id), { resolve, reject })
      const { storeId, dialect } = this
      this.socket.send(pushRequest({ id, storeId, events, backendId, dialect }))
    })
  }

  /**
   * Starts a pull. `onPage(page)` gets each page; each chunk is acknowledged, unless `pull.acks` is
   * set to false. `onChunk(bytes)` instead gets each message's bytes, unread. `pull.ended` resolves to
   * the exit, or to `{ lost: close }` with the connection.
   */
  pull({ live = false, cursor, onPage = () => {}, onChunk } = {}) {
    const id = this.#nextId++
    const pull = new WsPull(this, this.#idText(id), onPage, onChunk)
    this.#pulls.set(pull.idText, pull)
    const { storeId, dialect } = this
    this.socket.send(pullRequest({ id, storeId, live, cursor, dialect }))
    return pull
  }

  ping() {
    return new Promise((resolve, reject) => {
      this.#pongs.push({ resolve, reject })
      this.socket.send('{"_tag":"Ping"}')
    })
  }

  abort() {
    this.socket.abort()
  }

  close() {
    return this.socket.close()
  }

  #onMessage(bytes) {
    const unread = this.#pullOfUnread(bytes)
    if (unread !== undefined) {
      this.#onChunk(unread, undefined, bytes)
      return
    }
    const message = parseKeeping(bytes.toString(), 'args', 'requestId')
    switch (message._tag) {
      case 'Chunk':
        this.#onChunk(this.#pulls.get(message.requestId), message.values, bytes)
        return
      case 'Exit':
        this.#onExit(message.requestId, readExit(message.exit))
        return
      case 'Pong':
        this.#pongs.shift()?.resolve()
        return
      default:
        this.#fail(new Error(`unexpected message: ${bytes.toString().slice(0, 200)}`))
    }
  }

  /** The pull with an onChunk that a Chunk message is for, found without reading the message. */
  #pullOfUnread(bytes) {
    const start = bytes.subarray(0, 80).toString('latin1')
    const found = /^{"_tag":"Chunk","requestId":("[^"]*"|\d+),/.exec(start)
    const pull = found === null ? undefined : this.#pulls.get(found[1])
    return pull?.onChunk === undefined ? undefined : pull
  }

  #onChunk(pull, values, bytes) {
    if (pull === undefined) {
      this.#fail(new Error(`a chunk for no pull: ${bytes.toString().slice(0, 200)}`))
      return
    }
    pull.sentChunks++
    if (pull.acks) pull.ack()
    if (pull.onChunk !== undefined) pull.onChunk(bytes)
    else for (const page of readPages(values)) pull.onPage(page)
  }

  #onExit(idText, outcome) {
    const push = this.#pushes.get(idText)
    const pull = this.#pulls.get(idText)
    this.#pushes.delete(idText)
    this.#pulls.delete(idText)
    push?.resolve(outcome)
    pull?.end(outcome)
    if (push === undefined && pull === undefined) this.#fail(new Error(`an exit for no request: ${idText}`))
  }

  /** The server broke the protocol. */
  #fail(error) {
    this.failure ??= error
    this.socket.socket.destroy()
  }

  #onClosed(close) {
    const why = this.failure ?? new ConnectionLost(`closed with ${close.code} ${close.reason}`)
    for (const { reject } of this.#pushes.values()) reject(why)
    for (const { reject } of this.#pongs) reject(why)
    for (const pull of this.#pulls.values()) pull.end({ ok: false, lost: close })
    this.#pushes.clear()
    this.#pongs = []
    this.#pulls.clear()
  }
}

export const openWsClient = async ({ port, storeId, dialect = 'v3' }) =>
  new WsClient(await openWebSocket({ port, path: syncPath(storeId, 'ws') }), storeId, dialect)

/** A sync-cf client over HTTP; `keepAlive` like a browser's fetch, or a connection for each request. */
export class HttpClient {
  #nextId = 1

  constructor({ port, storeId, dialect = 'v3', keepAlive = true }) {
    Object.assign(this, { port, storeId, dialect })
    this.agent = new http.Agent({ keepAlive, maxSockets: 4 })
  }

  async push(events, { backendId } = {}) {
    const { storeId, dialect } = this
    const id = this.#nextId++
    const [exit] = await this.#post(pushRequest({ id, storeId, events, backendId, dialect, transport: 'http' }))
    return readExit(exit.exit)
  }

  /** Resolves to `{ ok, error, pages }`. */
  async pull({ cursor } = {}) {
    const { storeId, dialect } = this
    const id = this.#nextId++
    const messages = await this.#post(pullRequest({ id, storeId, cursor, dialect, transport: 'http' }))
    const pages = messages.filter(({ _tag }) => _tag === 'Chunk').flatMap(({ values }) => readPages(values))
    return { ...readExit(messages.at(-1).exit), pages }
  }

  close() {
    this.agent.destroy()
  }

  async #post(body) {
    const response = await this.post(body)
    const messages = parseKeeping(response.body, 'args', 'requestId')
    if (!Array.isArray(messages)) throw new Error(`not an RPC answer: ${response.status} ${response.body.slice(0, 200)}`)
    return messages
  }

  post(body) {
    return httpRequest({
      port: this.port,
      agent: this.agent,
      method: 'POST',
      path: syncPath(this.storeId, 'http'),
      headers: { 'content-type': 'application/json' },
      body,
    })
  }
}

/** One HTTP request. Resolves to `{ status, headers, body }`; rejects with ConnectionLost. */
export const httpRequest = ({ port, path, method = 'GET', headers = {}, body, agent }) =>
  new Promise((resolve, reject) => {
    const lose = (error) => {
      const lost = new ConnectionLost(`${error.code ?? ''} ${error.message}`, { cause: error })
      lost.wasUsed = sent.reusedSocket
      reject(lost)
    }
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const sent = http.request({ host: '127.0.0.1', port, path, method, agent, headers: { ...headers, ...length } })
    sent.on('error', lose)
    sent.on('response', (response) => {
      const pieces = []
      response.on('data', (piece) => pieces.push(piece))
      response.on('error', lose)
      response.on('end', () => {
        if (!response.complete) return lose(new Error('the response does not end'))
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces).toString() })
      })
    })
    sent.end(body)
  })

/** All of a store, by one pull over WebSocket: `{ events, backendId }`. */
export const pullAll = async ({ port, storeId }) => {
  const client = await openWsClient({ port, storeId })
  const events = []
  let backendId
  const pull = client.pull({
    onPage: (page) => {
      events.push(...page.events)
      backendId = page.backendId
    },
  })
  const outcome = await pull.ended
  if (client.failure !== undefined) throw client.failure
  await client.close()
  if (!outcome.ok) throw new Error(`the pull of a whole store failed: ${JSON.stringify(outcome)}`)
  return { events, backendId }
}
