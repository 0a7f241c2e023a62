// Pushes: what is admitted, what heals, in which order answers come, and what a pusher hears first.
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer } from './lib/server.mjs'
import { Bystander, SyncSocket, chain, eventText, newStore, pullOverHttp, pushOverHttp } from './lib/sync.mjs'

const server = await startServer({ 'log-level': 'error' })
const bystander = await Bystander.open(server)
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

const storedSeqs = async (storeId) => (await pullOverHttp(server, storeId)).chunks.seqs
const open = (storeId, options) => SyncSocket.open(server, storeId, options)

function isAhead(outcome, head, provided) {
  assert.equal(outcome.ok, false)
  assert.deepEqual(outcome.error, {
    _tag: 'ServerAheadError',
    minimumExpectedNum: head,
    providedNum: provided,
  })
}

// ---- a push that is sent again ----

// A log of events 1 to 5, whose args have some shape to them.
const ARGS = '{"id":"x","list":[1,2.50,{"deep":null}],"text":"é"}'
const log = (from, to, options = {}) => chain(from - 1, to - from + 1, { args: ARGS, ...options })

const retransmits = (name, batch, check, seqs = range(1, 5)) => {
  for (const transport of ['WebSocket', 'HTTP']) {
    test(`sent again: ${name} (${transport})`, async () => {
      const storeId = newStore('again')
      assert.ok((await pushOverHttp(server, storeId, log(1, 5))).exit.ok)
      let outcome
      if (transport === 'HTTP') {
        outcome = (await pushOverHttp(server, storeId, batch)).exit
      } else {
        const socket = await open(storeId, { dialect: 'v3' })
        outcome = await socket.push(batch).done()
        socket.close()
      }
      check(outcome)
      assert.deepEqual(await storedSeqs(storeId), seqs)
    })
  }
}
const isOk = (outcome) => assert.deepEqual(outcome, { ok: true, value: {} })
const ahead = (provided) => (outcome) => isAhead(outcome, 5, provided)

retransmits('the whole batch', log(1, 5), isOk)
retransmits('its first event', log(1, 1), isOk)
retransmits('a part from the middle', log(2, 4), isOk)
retransmits('its last event', log(5, 5), isOk)
retransmits('all of it and more', log(1, 8), isOk, range(1, 8))
retransmits('its end and more', log(4, 6), isOk, range(1, 6))
retransmits('its last event and one after a gap', [...log(5, 5), eventText({ seq: 9, parent: 5 })], isOk, [
  ...range(1, 5),
  9,
])
retransmits(
  'with its keys in another order',
  log(1, 5, { args: '{"text":"é","id":"x","list":[1,2.50,{"deep":null}]}' }),
  isOk,
)
retransmits(
  'with other white space',
  log(1, 5, { args: '{ "id" : "x", "list": [1, 2.50, {"deep": null}], "text": "é" }' }),
  isOk,
)
retransmits(
  'with other escapes',
  log(1, 5, { args: '{"\\u0069d":"\\u0078","list":[1,2.50,{"deep":null}],"text":"\\u00e9"}' }),
  isOk,
)
retransmits(
  'with numbers written otherwise',
  log(1, 5, { args: '{"id":"x","list":[1.0,25e-1,{"deep":null}],"text":"é"}' }),
  isOk,
)
retransmits(
  'with other args',
  log(1, 5, { args: '{"id":"y","list":[1,2.50,{"deep":null}],"text":"é"}' }),
  ahead(0),
)
retransmits(
  'with a list in another order',
  log(1, 5, { args: '{"id":"x","list":[2.50,1,{"deep":null}],"text":"é"}' }),
  ahead(0),
)
retransmits('with a key more', log(1, 5, { args: ARGS.replace('{', '{"more":1,') }), ahead(0))
retransmits('without args', log(1, 5, { args: null }), ahead(0))
retransmits('with another name', log(1, 5, { name: 'v1.Other' }), ahead(0))
retransmits('from another client', log(1, 5, { client: 'c2' }), ahead(0))
retransmits('from another session', log(1, 5, { session: 's2' }), ahead(0))
retransmits('with other numbers', [eventText({ seq: 2, parent: 0, args: ARGS })], ahead(0))
retransmits('with its last event another', [...log(1, 4), eventText({ seq: 5, args: '1' })], ahead(0))
retransmits(
  'with its last event another, and more',
  [...log(1, 4), eventText({ seq: 5, args: '1' }), ...log(6, 6)],
  ahead(0),
)
retransmits(
  'a part from the middle and something else',
  [...log(2, 3), eventText({ seq: 9, parent: 3 })],
  ahead(1),
)
retransmits('an event that follows an old one', [eventText({ seq: 4, parent: 2, args: ARGS })], ahead(2))
retransmits('from a parent that is no event', [eventText({ seq: 20, parent: 7 })], ahead(7))
retransmits(
  'from a parent far past the head',
  [eventText({ seq: 2 ** 53 - 1, parent: 2 ** 53 - 2 })],
  ahead(2 ** 53 - 2),
)
retransmits('the next event', log(6, 6), isOk, range(1, 6))
retransmits('the next event after a gap', [eventText({ seq: 100, parent: 5 })], isOk, [...range(1, 5), 100])
retransmits('nothing', [], isOk)

test('a push whose acknowledgement was lost is acknowledged on the next connection', async () => {
  const storeId = newStore('lost')
  for (let round = 0; round < 20; round++) {
    const batch = chain(round * 3, 3)
    const first = await open(storeId)
    first.push(batch)
    if (round % 2) {
      await first.ping() // it has been read, and may be committed
    } else {
      await new Promise((resolve) => first.ws.wire.socket.write('', resolve))
    }
    first.close()
    const second = await open(storeId)
    const outcome = await second.push(batch).done()
    assert.ok(outcome.ok, JSON.stringify(outcome))
    second.close()
  }
  assert.deepEqual(await storedSeqs(storeId), range(1, 60))
})

test('events that were stored once are published once, however often they are sent', async () => {
  const storeId = newStore('once')
  const socket = await open(storeId)
  const live = socket.pull()
  for (const batch of [chain(0, 3), chain(0, 3), chain(0, 5), chain(1, 2), chain(0, 5)]) {
    assert.ok((await socket.push(batch).done()).ok)
  }
  await socket.ping()
  assert.deepEqual(live.seqs, range(1, 5))
  socket.close()
})

// ---- many at once ----

test('of concurrent pushes on one parent exactly one wins', async () => {
  const storeId = newStore('race')
  const sockets = []
  for (let i = 0; i < 8; i++) {
    sockets.push(await open(storeId, { dialect: i % 2 ? 'v3' : 'v4' }))
  }
  const live = sockets[0].pull()
  for (let parent = 0; parent < 30; parent++) {
    const mine = (client) => [eventText({ seq: parent + 1, client })]
    const pushes = sockets.map((socket, i) => socket.push(mine(`ws${i}`)).done())
    const overHttp = [0, 1].map((i) => pushOverHttp(server, storeId, mine(`http${i}`)))
    const outcomes = [
      ...(await Promise.all(pushes)),
      ...(await Promise.all(overHttp)).map(({ exit }) => exit),
    ]
    const winners = outcomes.flatMap(({ ok }, i) => (ok ? [i < 8 ? `ws${i}` : `http${i - 8}`] : []))
    assert.equal(winners.length, 1, 'one winner')
    outcomes.filter(({ ok }) => !ok).forEach((outcome) => isAhead(outcome, parent + 1, parent))
    await live.untilEvent(parent + 1)
    assert.equal(live.events.at(-1).clientId, winners[0])
  }
  assert.deepEqual(live.seqs, range(1, 30))
  sockets.forEach((socket) => socket.close())
  await bystander.check()
})

test('pipelined pushes on one socket are admitted and answered in order', async () => {
  for (const dialect of ['v3', 'v4']) {
    const storeId = newStore('pipeline')
    const socket = await open(storeId, { dialect })
    const pushes = range(1, 200).map((seq) => socket.push([eventText({ seq })]))
    for (const push of pushes) {
      assert.ok((await push.done()).ok)
    }
    const order = socket.log.filter(({ kind }) => kind === 'Exit').map(({ id }) => id)
    assert.deepEqual(
      order,
      pushes.map(({ id }) => id),
    )
    assert.deepEqual(await storedSeqs(storeId), range(1, 200))
    socket.close()
  }
})

test('good, stale, malformed and repeated pushes in one pipeline each get their answer', async () => {
  const storeId = newStore('pipeline')
  const socket = await open(storeId)
  const live = socket.pull()
  const [first, repeated, stale, malformed, broken, second, empty, wrongLog, third] = [
    socket.push(chain(0, 2)),
    socket.push(chain(0, 2)),
    socket.push([eventText({ seq: 1, client: 'other' })]),
    socket.push(['{"name":5}']),
    socket.push([eventText({ seq: 4, parent: 4 })]),
    socket.push(chain(2, 1)),
    socket.push([]),
    socket.push(chain(3, 1), { backendId: 'another' }),
    socket.push(chain(3, 1)),
  ]
  isOk(await first.done())
  isOk(await repeated.done())
  isAhead(await stale.done(), 2, 0)
  assert.equal((await malformed.done()).kind, 'Die')
  assert.equal((await broken.done()).error._tag, 'UnknownError')
  isOk(await second.done())
  isOk(await empty.done())
  assert.equal((await wrongLog.done()).error._tag, 'BackendIdMismatchError')
  isOk(await third.done())
  assert.deepEqual(live.seqs, range(1, 4))
  socket.close()
})

test('stores that are pushed to at once each get their own events', async () => {
  const stores = range(1, 20).map(() => newStore('parallel'))
  const sockets = await Promise.all(stores.map((storeId) => open(storeId)))
  const pushes = []
  for (let seq = 1; seq <= 20; seq++) {
    sockets.forEach((socket, i) => pushes.push(socket.push([eventText({ seq, args: `${i}` })])))
  }
  for (const push of pushes) {
    assert.ok((await push.done()).ok)
  }
  for (const [i, storeId] of stores.entries()) {
    const { chunks } = await pullOverHttp(server, storeId)
    assert.deepEqual(chunks.seqs, range(1, 20))
    assert.ok(chunks.events.every(({ args }) => args === i))
  }
  sockets.forEach((socket) => socket.close())
})

// ---- what the pusher hears ----

// Where in a socket's log the chunk with an event, and the exit of a request, are.
const placeOfEvent = (socket, pull, seq) =>
  socket.log.findIndex(({ kind, id, seqs }) => kind === 'Chunk' && id === pull.id && seqs.includes(seq))
const placeOfExit = (socket, push) =>
  socket.log.findIndex(({ kind, id }) => kind === 'Exit' && id === push.id)

test("a pusher's own live pulls hear its events before the acknowledgement", async () => {
  for (const pullCount of [1, 3]) {
    const socket = await open(newStore('own'))
    const pulls = range(1, pullCount).map(() => socket.pull())
    for (let seq = 1; seq <= 50; seq++) {
      const push = socket.push([eventText({ seq })])
      await push.done()
      for (const pull of pulls) {
        const place = placeOfEvent(socket, pull, seq)
        assert.ok(place >= 0 && place < placeOfExit(socket, push), `event ${seq} before its Exit`)
      }
    }
    socket.close()
  }
})

test('also when its pull began in the same breath, and when pushes are pipelined', async () => {
  for (let round = 0; round < 30; round++) {
    const socket = await open(newStore('own'))
    const pushes = []
    const push = (seq) => pushes.push([seq, socket.push([eventText({ seq })])])
    range(1, round % 5).forEach(push)
    const pull = socket.pull()
    range((round % 5) + 1, 20).forEach(push)
    for (const [seq, asked] of pushes) {
      await asked.done()
      if (seq > round % 5) {
        const place = placeOfEvent(socket, pull, seq)
        assert.ok(place >= 0 && place < placeOfExit(socket, asked), `event ${seq}`)
      }
    }
    assert.deepEqual(pull.seqs, range(1, 20))
    socket.close()
  }
})

// A store with more pages than a window has, and a socket whose live pull stands still in the middle
// of its catch-up for want of Acks.
async function stuckCatchUp() {
  const storeId = newStore('stuck')
  const args = JSON.stringify('x'.repeat(2000))
  for (let from = 0; from < 3000; from += 500) {
    assert.ok((await pushOverHttp(server, storeId, chain(from, 500, { args }))).exit.ok)
  }
  const socket = await open(storeId)
  socket.acknowledges = false
  const pull = socket.pull()
  await pull.until(() => pull.pages.length === 16, 'a window of pages')
  return { storeId, socket, pull }
}

async function letGo(socket, pull) {
  socket.acknowledges = true
  for (let i = 0; i < 16; i++) {
    socket.acknowledge(pull.id)
  }
}

test('ServerAhead is answered only when the live pull has been brought to the head', async () => {
  const { socket, pull } = await stuckCatchUp()
  const stale = socket.push([eventText({ seq: 1, client: 'stale' })])
  for (let i = 0; i < 20; i++) {
    await socket.ping()
    await bystander.check()
  }
  assert.equal(stale.exit, null, 'the answer waits for the pull')
  await letGo(socket, pull)
  isAhead(await stale.done(), 3000, 0)
  assert.ok(placeOfEvent(socket, pull, 3000) < placeOfExit(socket, stale), 'the head came first')
  assert.ok(pull.caughtUp)
  socket.close()
})

test('an acknowledgement waits for the pull too, and pings do not', async () => {
  const { socket, pull } = await stuckCatchUp()
  const pushes = range(3001, 3005).map((seq) => socket.push([eventText({ seq })]))
  for (let i = 0; i < 20; i++) {
    await socket.ping()
    await bystander.check()
  }
  assert.ok(pushes.every(({ exit }) => exit === null))
  await letGo(socket, pull)
  for (const [i, push] of pushes.entries()) {
    isOk(await push.done())
    assert.ok(placeOfEvent(socket, pull, 3001 + i) < placeOfExit(socket, push))
  }
  socket.close()
})

test('an answer that waits is given when the pull is interrupted', async () => {
  const { socket, pull } = await stuckCatchUp()
  const stale = socket.push([eventText({ seq: 1, client: 'stale' })])
  await socket.ping()
  assert.equal(stale.exit, null)
  socket.interrupt(pull.id)
  assert.equal((await pull.done()).kind, 'Interrupt')
  isAhead(await stale.done(), 3000, 0)
  socket.close()
})

test('a push waits for no pull of another socket', async () => {
  const { storeId, socket, pull } = await stuckCatchUp()
  const other = await open(storeId)
  isOk(await other.push([eventText({ seq: 3001 })]).done())
  isAhead(await other.push([eventText({ seq: 1, client: 'stale' })]).done(), 3001, 0)
  await letGo(socket, pull)
  await pull.untilEvent(3001)
  assert.deepEqual(pull.seqs, range(1, 3001))
  other.close()
  socket.close()
})

test('a socket that is cut while answers wait leaves its pushes in the log', async () => {
  const { storeId, socket } = await stuckCatchUp()
  const witness = await open(storeId)
  const live = witness.pull()
  const pushes = [3001, 3002].map((seq) => socket.push([eventText({ seq })]))
  await live.untilEvent(3002) // both are decided; one that still waits its turn would go with its socket
  assert.ok(pushes.every(({ exit }) => exit === null))
  socket.close()
  await bystander.check()
  assert.deepEqual((await storedSeqs(storeId)).slice(-2), [3001, 3002])
  witness.close()
})

// ---- interrupts ----

test('an interrupted push goes on, and its answer may still come', async () => {
  const storeId = newStore('interrupted')
  const socket = await open(storeId)
  const live = socket.pull()
  for (let seq = 1; seq <= 20; seq++) {
    const push = socket.push([eventText({ seq })])
    socket.interrupt(push.id)
    assert.ok((await push.done()).ok)
    socket.interrupt(push.id) // of one that is over: as the client does
    socket.acknowledge(push.id)
  }
  await live.untilEvent(20)
  assert.deepEqual(await storedSeqs(storeId), range(1, 20))
  socket.close()
})

test('interrupts of pulls: before the first page, live, twice', async () => {
  for (const dialect of ['v3', 'v4']) {
    const socket = await open(newStore('interrupted'), { dialect })
    const early = socket.pull()
    socket.interrupt(early.id)
    const live = socket.pull()
    await live.until(() => live.caughtUp)
    assert.ok((await socket.push([eventText({ seq: 1 })]).done()).ok)
    socket.interrupt(live.id)
    socket.interrupt(live.id)
    for (const pull of [early, live]) {
      const { kind, cause } = await pull.done()
      assert.equal(kind, 'Interrupt')
      assert.deepEqual(cause.fiberId, dialect === 'v3' ? { _tag: 'None' } : null)
    }
    assert.ok((await socket.push([eventText({ seq: 2 })]).done()).ok)
    await socket.ping() // nothing more for either: lib/sync.mjs asserts it
    assert.deepEqual(live.seqs, [1])
    socket.close()
  }
})

test('the server ends well after all of this', () => server.stop())
