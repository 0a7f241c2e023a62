// The protocols of @livestore/sync-s2 and @livestore/sync-electric as their clients speak them (docs/doors.md),
// but for live pulls. Events are as in sync_cf.mjs, with `args` as text. A client's `place` is where its next
// pull begins; it can be taken to another connection, and to another life of the server.

import http from 'node:http'

import { parseKeeping } from './raw_json.mjs'
import { encodeEvent, httpRequest, none, some } from './sync_cf.mjs'

/** A refusal as sync-cf has it, for those who do not care about the door. */
const readRefusal = ({ status, body }) => {
  const { error, message, minimumExpectedNum } = JSON.parse(body)
  return { _tag: error === 'SERVER_AHEAD' ? 'ServerAheadError' : error, status, cause: message, minimumExpectedNum }
}

class DoorClient {
  constructor({ port, storeId, place, keepAlive = true }) {
    Object.assign(this, { port, storeId, place })
    this.agent = new http.Agent({ keepAlive, maxSockets: 4 })
  }

  /** Resolves to `{ ok, error }`; rejects with ConnectionLost. */
  async push(events) {
    const body = `{"storeId":${JSON.stringify(this.storeId)},"batch":[${events.map(encodeEvent).join(',')}]}`
    const headers = { 'content-type': 'application/json' }
    const answer = await this.request({ method: 'POST', path: this.path, headers, body })
    return answer.status === 200 ? { ok: true } : { ok: false, error: readRefusal(answer) }
  }

  get(args) {
    return this.request({ path: `${this.path}?args=${encodeURIComponent(JSON.stringify(args))}` })
  }

  request(options) {
    return httpRequest({ port: this.port, agent: this.agent, ...options })
  }

  close() {
    this.agent.destroy()
  }
}

/** `place` is the position of the last record. */
export class S2Client extends DoorClient {
  path = '/s2'

  /** Resolves to `{ ok, error, pages }`; a page has events, and no backend id. */
  async pull() {
    const answer = await this.get({ storeId: this.storeId, s2SeqNum: this.place ?? 'from-start', live: false })
    if (answer.status !== 200) return { ok: false, error: { status: answer.status, cause: answer.body }, pages: [] }
    if (!answer.body.endsWith('data: [DONE]\n\n')) throw new Error(`a catch-up without its end: ${answer.body.slice(-200)}`)
    const batches = [...answer.body.matchAll(/^event: batch\ndata: ([^\n]*)\n/gm)].map(([, data]) => JSON.parse(data))
    return { ok: true, pages: batches.map((batch) => this.#read(batch)) }
  }

  #read({ records }) {
    const events = records.map(({ body, seq_num: position }) => {
      const expected = (this.place ?? -1) + 1
      if (position !== expected) throw new Error(`store ${this.storeId}: position ${position} in place of ${expected}`)
      this.place = position
      return parseKeeping(body, 'args')
    })
    return { events }
  }
}

/** `place` is an offset and a handle. */
export class ElectricClient extends DoorClient {
  path = '/electric'

  async pull() {
    const pages = []
    do {
      const handle = this.place === undefined ? none : some(this.place)
      const answer = await this.get({ _tag: '@livestore/sync-electric.Pull', storeId: this.storeId, handle, live: false })
      if (answer.status !== 200) return { ok: false, error: readRefusal(answer), pages }
      pages.push(this.#read(answer))
    } while (pages.at(-1).events.length > 0)
    return { ok: true, pages }
  }

  #read({ headers, body }) {
    this.place = { offset: headers['electric-offset'], handle: headers['electric-handle'] }
    const events = JSON.parse(body)
      .filter(({ value }) => value !== undefined)
      .map(({ value: { seqNum, parentSeqNum, ...rest } }) => ({
        ...rest,
        seqNum: Number(seqNum),
        parentSeqNum: Number(parentSeqNum),
      }))
    return { events, backendId: this.place.handle }
  }
}
