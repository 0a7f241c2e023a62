// What a store must hold, seen from outside: each batch that was sent, and what became of it. The checks
// are the promises of a log: what was acknowledged, or shown to a puller, is there
// once, unchanged, in its place; besides it only whole batches whose answer never came; one chain; the
// head never goes back; the backend id stays.

const fields = ['name', 'args', 'seqNum', 'parentSeqNum', 'clientId', 'sessionId']

const assertSameEvent = (stored, sent, what) => {
  for (const field of fields) {
    if (stored[field] !== sent[field]) {
      const show = (value) => JSON.stringify(value)?.slice(0, 300)
      throw new Error(`${what}: ${field} is ${show(stored[field])}, but ${show(sent[field])} was sent`)
    }
  }
}

/** That each event's parent is the event before it, the first one's being `after`. */
export const assertChain = (events, after, what) => {
  let last = after
  for (const { seqNum, parentSeqNum } of events) {
    if (parentSeqNum !== last || seqNum <= last) {
      throw new Error(`${what}: event ${seqNum} with parent ${parentSeqNum} follows ${last}`)
    }
    last = seqNum
  }
}

let nextMark = 1

export class Journal {
  /** Batches by the mark of their events (an event carries it as its sessionId). */
  batches = new Map()
  head = 0
  backendId = undefined
  acknowledgedEvents = 0
  checkedEvents = 0

  constructor(storeId) {
    this.storeId = storeId
  }

  newMark() {
    return `b${nextMark++}`
  }

  /** A batch is about to be sent for the first time. */
  send(mark, events) {
    const batch = { events, state: 'unanswered', isSeen: false }
    this.batches.set(mark, batch)
    return batch
  }

  /**
   * More events are appended to a batch that is sent again. As long as the log does not have the batch, both
   * are one: stored together or not at all.
   */
  extend(batch, mark, events) {
    if (batch.isSeen) return this.send(mark, events)
    batch.events = [...batch.events, ...events]
    this.batches.set(mark, batch)
    return batch
  }

  acknowledge(batch) {
    if (batch.state === 'refused') throw new Error('a batch was refused, then acknowledged')
    if (batch.state !== 'acknowledged') this.acknowledgedEvents += batch.events.length
    batch.state = 'acknowledged'
    this.head = Math.max(this.head, batch.events[batch.events.length - 1].seqNum)
  }

  /** The server said that it has not stored it, and never will. */
  refuse(batch) {
    if (batch.isSeen) throw new Error(`${this.storeId}: a batch that is in the log was refused`)
    batch.state = 'refused'
  }

  /** A puller got these events, whose chain it has checked: from now on they must stay. */
  see(events, backendId) {
    this.#checkBackendId(backendId)
    let at = 0
    while (at < events.length) {
      const { batch, next } = this.#matchBatch(events, at)
      batch.isSeen = true
      at = next
    }
    if (events.length > 0) this.head = Math.max(this.head, events[events.length - 1].seqNum)
  }

  /** Checks all of the store's events, as a pull without cursor gave them. */
  check(events, backendId) {
    const what = `store ${this.storeId}`
    this.#checkBackendId(backendId)
    assertChain(events, 0, what)
    const head = events.length > 0 ? events[events.length - 1].seqNum : 0
    if (head < this.head) throw new Error(`${what}: the head went back from ${this.head} to ${head}`)
    const found = new Set()
    let at = 0
    while (at < events.length) {
      const { batch, next } = this.#matchBatch(events, at, { whole: true })
      if (found.has(batch)) throw new Error(`${what}: a batch is there twice, at ${events[at].seqNum}`)
      found.add(batch)
      batch.isSeen = true
      at = next
    }
    for (const batch of this.batches.values()) {
      const mustBeThere = batch.state === 'acknowledged' || batch.isSeen
      if (mustBeThere && !found.has(batch)) {
        throw new Error(`${what}: the batch from ${batch.events[0].seqNum} on (${batch.state}) is lost; head ${head}`)
      }
      if (batch.state === 'acknowledged') this.checkedEvents += batch.events.length
    }
    this.head = head
  }

  /** The batch whose events begin at `at`, compared one by one. A page may begin or end inside a batch. */
  #matchBatch(events, at, { whole = false } = {}) {
    const what = `store ${this.storeId}`
    const { sessionId, seqNum } = events[at]
    const batch = this.batches.get(sessionId)
    if (batch === undefined) throw new Error(`${what}: event ${seqNum} was never sent`)
    if (batch.state === 'refused') throw new Error(`${what}: event ${seqNum} is of a batch that was refused`)
    let index = batch.events.findIndex((sent) => sent.seqNum === seqNum)
    if (index !== 0 && whole) throw new Error(`${what}: the batch of event ${seqNum} lacks its beginning`)
    if (index < 0) throw new Error(`${what}: event ${seqNum} was never sent with that number`)
    let next = at
    while (next < events.length && index < batch.events.length) {
      assertSameEvent(events[next], batch.events[index], `${what}, event ${events[next].seqNum}`)
      next++
      index++
    }
    if (index < batch.events.length && whole) throw new Error(`${what}: the batch of event ${seqNum} lacks its end`)
    return { batch, next }
  }

  #checkBackendId(backendId) {
    this.backendId ??= backendId
    if (backendId !== this.backendId) {
      throw new Error(`store ${this.storeId}: the backend id changed from ${this.backendId} to ${backendId}`)
    }
  }
}
