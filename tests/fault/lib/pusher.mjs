// A client that pushes as fast as it is acknowledged, over connections that end under its hands. Like a real
// one it has a live pull beside its pushes (or, over HTTP, pulls when it is told that it is behind), sends
// again what was not answered, byte for byte or with more events appended, and never lets go of it.
//
// While it does so it checks what a client relies on: pages chain onto each other across connections, and
// an answer comes after the live pull has been brought to where the answer says the log is.

import { ConnectionLost, HttpClient, openWsClient } from '../../lib/sync_cf.mjs'
import { HandshakeLost } from '../../lib/websocket.mjs'
import { assertChain } from './journal.mjs'
import { lastSeqNum, randomEvents } from './events.mjs'

const isLoss = (error) =>
  error instanceof ConnectionLost ||
  error instanceof HandshakeLost ||
  ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code)

class Pusher {
  /** Batches that were sent and not answered, in order: `{ batch, events }`. */
  outstanding = []
  /** The last event that a pull brought, and the last event that new ones chain onto. */
  cursor = 0
  head = 0
  acknowledged = 0
  refused = 0
  retransmitted = 0

  /** What ended the last run, when that was a loss of the connection. */
  lostBy = undefined

  constructor({ journal, random, name, dialect = 'v3', depth = 1, keepAlive, hooks = {}, eventsMax = 20, argsBytesMax }) {
    Object.assign(this, { journal, random, name, dialect, depth, keepAlive, eventsMax, argsBytesMax })
    this.onSent = hooks.onSent ?? (() => {})
    this.onAcknowledged = hooks.onAcknowledged ?? (() => {})
    this.isStopping = false
  }

  /** Pushes no new batches; `run` ends when all that was sent is answered. */
  stop() {
    this.isStopping = true
  }

  takePage(page) {
    assertChain(page.events, this.cursor, `the pull of ${this.name}`)
    this.journal.see(page.events, page.backendId)
    if (page.events.length > 0) this.cursor = lastSeqNum(page.events)
  }

  cursorForPull() {
    return this.cursor === 0 ? undefined : { backendId: this.journal.backendId, eventSequenceNumber: this.cursor }
  }

  #newEvents(mark, parent) {
    const { random, eventsMax, argsBytesMax, name } = this
    const count = random.integer(1, eventsMax)
    return randomEvents(random, { count, parent, clientId: name, mark, argsBytesMax })
  }

  newPush() {
    // What others pushed meanwhile came by the live pull; not when more is on its way that chains onto ours.
    if (this.outstanding.length === 0) this.head = Math.max(this.head, this.cursor)
    const mark = this.journal.newMark()
    const events = this.#newEvents(mark, this.head)
    this.head = lastSeqNum(events)
    return { batch: this.journal.send(mark, events), events }
  }

  /** The last of what is sent again now and then has more events appended, as a client does that went on. */
  extendLast() {
    const last = this.outstanding[this.outstanding.length - 1]
    const mark = this.journal.newMark()
    const more = this.#newEvents(mark, lastSeqNum(last.events))
    const batch = this.journal.extend(last.batch, mark, more)
    const extended = { batch, events: [...last.events, ...more], alsoAnswers: last.batch }
    this.outstanding[this.outstanding.length - 1] = extended
    this.head = lastSeqNum(more)
  }

  /** Takes the answer to a push. Returns false when it was refused. */
  takeAnswer(push, { ok, error }) {
    this.outstanding.splice(this.outstanding.indexOf(push), 1)
    if (ok) {
      if (push.alsoAnswers !== undefined) this.journal.acknowledge(push.alsoAnswers)
      this.journal.acknowledge(push.batch)
      this.acknowledged++
      this.onAcknowledged()
      return true
    }
    if (error._tag !== 'ServerAheadError') throw new Error(`${this.name} was refused: ${JSON.stringify(error)}`)
    // The log may have the beginning of what was extended, with someone else's events after it.
    if (push.alsoAnswers?.isSeen === false) this.journal.refuse(push.alsoAnswers)
    this.journal.refuse(push.batch)
    this.refused++
    return false
  }

  /** Runs on one server until the connection is lost or it is told to stop. */
  async run(port) {
    try {
      await this.connect(port)
      if (this.outstanding.length > 0 && this.random.chance(0.3)) this.extendLast()
      this.retransmitted += this.outstanding.length
      await this.pushAll()
    } catch (error) {
      if (!isLoss(error)) throw error
      this.lostBy = error
    } finally {
      await this.disconnect()
    }
  }

  async pushAll() {
    const answers = new Map()
    for (const push of this.outstanding) answers.set(push, this.#sendInOrder(push))
    for (;;) {
      while (!this.isStopping && answers.size < this.depth && !this.isBehind) {
        const push = this.newPush()
        this.outstanding.push(push)
        answers.set(push, this.#sendInOrder(push))
      }
      if (answers.size === 0) {
        if (!this.isBehind) return
        await this.catchUp()
        this.isBehind = false
        this.head = this.cursor
        continue
      }
      answers.delete(await Promise.race(answers.values()))
    }
  }

  /** Resolves to the push once it is answered. */
  #sendInOrder(push) {
    const answer = this.sendPush(push).then((outcome) => {
      this.checkAnswer(push, outcome)
      if (!this.takeAnswer(push, outcome)) this.isBehind = true
      return push
    })
    answer.catch(() => {}) // whoever awaits it hears of it
    this.onSent()
    return answer
  }
}

export class WsPusher extends Pusher {
  async connect(port) {
    const { journal, dialect } = this
    this.client = await openWsClient({ port, storeId: journal.storeId, dialect })
    this.pull = this.client.pull({
      live: true,
      cursor: this.cursorForPull(),
      onPage: (page) => {
        try {
          this.takePage(page)
        } catch (error) {
          this.client.failure ??= error
          this.client.abort()
        }
      },
    })
    void this.pull.ended.then(({ lost, error }) => {
      if (lost !== undefined) return
      this.client.failure ??= new Error(`the live pull of ${this.name} ended: ${JSON.stringify(error)}`)
      this.client.abort()
    })
  }

  async disconnect() {
    if (this.client === undefined) return
    this.client.abort()
    this.close = await this.client.closed
    if (this.client.failure !== undefined) throw this.client.failure
  }

  sendPush({ events }) {
    return this.client.push(events, { backendId: this.journal.backendId })
  }

  checkAnswer({ events }, { ok, error }) {
    const needed = ok ? lastSeqNum(events) : (error.minimumExpectedNum ?? 0)
    if (this.cursor < needed) {
      throw new Error(`${this.name}: answered before its live pull had event ${needed}; it has ${this.cursor}`)
    }
  }

  async catchUp() {} // its live pull has the head when it is told that it is behind
}

export class HttpPusher extends Pusher {
  async connect(port) {
    const { journal, dialect, keepAlive } = this
    this.client = new HttpClient({ port, storeId: journal.storeId, dialect, keepAlive })
  }

  async disconnect() {
    this.client?.close()
  }

  sendPush({ events }) {
    return this.client.push(events, { backendId: this.journal.backendId })
  }

  checkAnswer() {}

  async catchUp() {
    const { ok, error, pages } = await this.client.pull({ cursor: this.cursorForPull() })
    for (const page of pages) this.takePage(page)
    if (!ok) throw new Error(`the pull of ${this.name} failed: ${JSON.stringify(error)}`)
  }
}

/** Over S2 or Electric, by `Client`. Where its pulls have come to it keeps over all lives of the server. */
export class DoorPusher extends HttpPusher {
  place = undefined

  constructor({ Client, ...options }) {
    super(options)
    this.Client = Client
  }

  async connect(port) {
    const { journal, keepAlive, place } = this
    this.client = new this.Client({ port, storeId: journal.storeId, keepAlive, place })
  }

  async catchUp() {
    const { ok, error, pages } = await this.client.pull()
    if (!ok) throw new Error(`the pull of ${this.name} failed: ${JSON.stringify(error)}`)
    this.place = this.client.place
    for (const page of pages) this.takePage({ backendId: this.journal.backendId, ...page })
  }
}
