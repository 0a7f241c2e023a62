// Pulls: catch-up page by page within a window, then the live stream, every event once and in order,
// however the two meet.
import assert from 'node:assert/strict'
import test from 'node:test'
import { HttpClient, syncTarget } from './lib/http.mjs'
import { FREED_IS_FREE, startServer, withServer } from './lib/server.mjs'
import {
  Bystander,
  SyncSocket,
  chain,
  eventText,
  newStore,
  pullOverHttp,
  pullPayload,
  pushOverHttp,
  readAnswer,
  requestText,
} from './lib/sync.mjs'

const WINDOW = 16
const server = await startServer({ 'log-level': 'error' })
const bystander = await Bystander.open(server)
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

// ---- catch-up ----

// 5,000 events of some 1,100 bytes: more than a window's worth of pages.
const BIG = newStore('big')
const BIG_EVENTS = 5000
for (let from = 0; from < BIG_EVENTS; from += 500) {
  const { exit } = await pushOverHttp(
    server,
    BIG,
    chain(from, 500, { args: JSON.stringify('x'.repeat(1100)) }),
  )
  assert.ok(exit.ok)
}

// What every catch-up of `total` events after `start` keeps to.
function isWholeCatchUp(pages, total) {
  let seen = 0
  pages.forEach(({ events, pageInfo }, i) => {
    seen += events.length
    if (i < pages.length - 1) {
      assert.ok(events.length > 0)
      assert.deepEqual(pageInfo, { _tag: 'MoreKnown', remaining: total - seen })
    } else {
      assert.deepEqual(pageInfo, { _tag: 'NoMore' })
    }
  })
  assert.equal(seen, total)
}

for (const dialect of ['v3', 'v4']) {
  test(`a catch-up of 5,000 events tells how many remain, and ends once (${dialect})`, async () => {
    const socket = await SyncSocket.open(server, BIG, { dialect })
    const pull = socket.pull({ live: false })
    assert.deepEqual(await pull.done(), { ok: true, value: null })
    assert.ok(pull.pages.length > WINDOW, `${pull.pages.length} pages`)
    isWholeCatchUp(pull.pages, BIG_EVENTS)
    assert.deepEqual(pull.seqs, range(1, BIG_EVENTS))
    socket.close()
  })
}

test('a catch-up from a cursor in the middle', async () => {
  const socket = await SyncSocket.open(server, BIG)
  const first = socket.pull({ live: false })
  await first.done()
  for (const seq of [1, 2499, 4998, 4999, 5000]) {
    const pull = socket.pull({ live: false, cursor: { backendId: first.backendId, seq } })
    assert.ok((await pull.done()).ok)
    isWholeCatchUp(pull.pages, BIG_EVENTS - seq)
    assert.deepEqual(pull.seqs, range(seq + 1, BIG_EVENTS))
  }
  socket.close()
})

test('a catch-up over HTTP leaves in pieces, each a page', async () => {
  const { chunks, exit, response, messages } = await pullOverHttp(server, BIG)
  assert.ok(exit.ok)
  isWholeCatchUp(chunks.pages, BIG_EVENTS)
  assert.deepEqual(chunks.seqs, range(1, BIG_EVENTS))
  assert.ok(response.chunks > WINDOW, 'as it is read')
  assert.equal(messages.at(-1)._tag, 'Exit')
})

test('without acknowledgements a window of pages comes, and each Ack lets one more', async () => {
  const socket = await SyncSocket.open(server, BIG)
  socket.acknowledges = false
  const pull = socket.pull()
  await pull.until(() => pull.pages.length === WINDOW, 'a window of pages')
  for (let acknowledged = 1; acknowledged <= 3; acknowledged++) {
    // What else would be on its way has come by then: pages are read in less than ten turns.
    for (let i = 0; i < 10; i++) {
      await socket.ping()
      await bystander.check()
    }
    assert.equal(pull.pages.length, WINDOW + acknowledged - 1, 'no page beyond the window')
    socket.acknowledge(pull.id)
    await pull.until(() => pull.pages.length === WINDOW + acknowledged, 'a page for an Ack')
  }
  for (let i = 0; i < 40; i++) {
    socket.acknowledge(pull.id) // as many as there can be pages
  }
  await pull.until(() => pull.caughtUp, 'the end of the catch-up')
  isWholeCatchUp(pull.pages, BIG_EVENTS)
  socket.close()
})

test('Acks of what was not sent yet open no larger window', async () => {
  const socket = await SyncSocket.open(server, BIG)
  socket.acknowledges = false
  const pull = socket.expect(1)
  const request = requestText(1, 'SyncWsRpc.Pull', pullPayload(BIG, { live: true }))
  // In one message, so that they are read before the first page is.
  socket.send(`[${[request, ...Array(100).fill('{"_tag":"Ack","requestId":1}')]}]`)
  await pull.until(() => pull.pages.length === WINDOW, 'a window of pages')
  for (let i = 0; i < 10; i++) {
    await socket.ping()
    await bystander.check()
  }
  assert.equal(pull.pages.length, WINDOW)
  socket.close()
})

test('each pull of a socket has a window of its own', async () => {
  const socket = await SyncSocket.open(server, BIG)
  socket.acknowledges = false
  const stuck = socket.pull()
  await stuck.until(() => stuck.pages.length === WINDOW, 'a window of pages')
  socket.acknowledges = true
  const other = socket.pull({ live: false })
  await other.done()
  isWholeCatchUp(other.pages, BIG_EVENTS)
  assert.equal(stuck.pages.length, WINDOW)
  socket.close()
})

test('an empty log is one empty page', async () => {
  const socket = await SyncSocket.open(server, newStore('empty'))
  for (const live of [false, true]) {
    const pull = socket.pull({ live })
    await pull.until(() => pull.caughtUp)
    assert.deepEqual(pull.pages, [{ events: [], pageInfo: { _tag: 'NoMore' } }])
  }
  socket.close()
})

test('pages of big events hold at least one', async () => {
  const storeId = newStore('large')
  const args = JSON.stringify('x'.repeat(900_000))
  for (let seq = 1; seq <= 5; seq++) {
    assert.ok((await pushOverHttp(server, storeId, [eventText({ seq, args })])).exit.ok)
  }
  const socket = await SyncSocket.open(server, storeId)
  const pull = socket.pull({ live: false })
  assert.ok((await pull.done()).ok)
  isWholeCatchUp(pull.pages, 5)
  assert.equal(pull.pages.length, 5)
  socket.close()
})

test('a pull that is interrupted in its catch-up ends there', async () => {
  const socket = await SyncSocket.open(server, BIG)
  socket.acknowledges = false
  for (const pages of [1, WINDOW]) {
    const pull = socket.pull()
    await pull.until(() => pull.pages.length >= pages, 'pages')
    socket.interrupt(pull.id)
    assert.equal((await pull.done()).kind, 'Interrupt')
  }
  await socket.ping() // an Exit is the last of its request: lib/sync.mjs asserts it
  socket.close()
})

test('a socket that is cut in its catch-up stops it', async () => {
  for (let i = 0; i < 20; i++) {
    const socket = await SyncSocket.open(server, BIG)
    const pull = socket.pull()
    await pull.until(() => pull.pages.length > i % 5)
    socket.close()
  }
  await bystander.check()
})

// ---- joining the live stream ----

// Pushes until the store's head is `target`, against others who do so too: on ServerAhead it goes on
// from the head it is told.
async function pushAgainstOthers(socket, target, progress) {
  let head = 0
  while (head < target) {
    const count = Math.min(1 + (head % 3), target - head)
    const { ok, error } = await socket.push(chain(head, count, { client: socket.client })).done()
    if (ok) {
      head += count
    } else {
      assert.equal(error._tag, 'ServerAheadError')
      assert.equal(error.providedNum, head)
      assert.ok(error.minimumExpectedNum > head, 'ahead means ahead')
      head = error.minimumExpectedNum
    }
    progress.head = Math.max(progress.head, head)
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

// A live pull that begins when the log has come to some place, from the root or from where another
// pull of the round has come.
async function joinSomewhere(socket, target, progress, others, random) {
  const place = random() % target
  while (progress.head < place) {
    await turn()
  }
  const other = others[random() % 3]
  const cursor = other?.events.length ? { backendId: other.backendId, seq: other.last } : null
  const pull = socket.pull({ cursor })
  pull.from = cursor?.seq ?? 0
  return pull
}

async function joinInRounds(rounds, random) {
  const target = 60
  for (let round = 0; round < rounds; round++) {
    const storeId = newStore('joins')
    const open = (i) => SyncSocket.open(server, storeId, { dialect: i % 2 ? 'v3' : 'v4' })
    const sockets = await Promise.all(range(1, 5).map(open))
    sockets.forEach((socket, i) => (socket.client = `c${i}`))
    const progress = { head: 0 }
    const pushing = sockets.slice(0, 3).map((socket) => pushAgainstOthers(socket, target, progress))
    const pulls = []
    const joining = range(1, 6).map(async (i) => {
      pulls.push(await joinSomewhere(sockets[3 + (i % 2)], target, progress, pulls, random))
    })
    await Promise.all([...pushing, ...joining])
    for (const pull of pulls) {
      await pull.until(() => pull.caughtUp && (pull.last === target || pull.from === target), 'all events')
    }
    await sockets[3].ping()
    await sockets[4].ping()
    for (const pull of pulls) {
      assert.deepEqual(pull.seqs, range(pull.from + 1, target), `round ${round}`)
    }
    sockets.forEach((socket) => socket.close())
  }
}

function randomNumbers(seed) {
  return () => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) >>> 8
}

test('live pulls that begin during heavy pushing get every event once, in order: 50 rounds', () =>
  joinInRounds(50, randomNumbers(Number(process.env.SLUICE_TEST_SEED ?? 1))))

test('a live pull that falls behind for want of Acks goes on where it was', async () => {
  const storeId = newStore('behind')
  const socket = await SyncSocket.open(server, storeId)
  socket.acknowledges = false
  const pull = socket.pull()
  await pull.until(() => pull.caughtUp)
  const pusher = await SyncSocket.open(server, storeId)
  for (let seq = 1; seq <= 100; seq++) {
    assert.ok((await pusher.push([eventText({ seq })]).done()).ok)
  }
  await socket.ping()
  assert.equal(pull.pages.length, WINDOW)
  socket.acknowledges = true
  for (let i = 0; i < WINDOW; i++) {
    socket.acknowledge(pull.id)
  }
  await pull.untilEvent(100)
  assert.deepEqual(pull.seqs, range(1, 100))
  assert.ok(pull.caughtUp, 'a catch-up that ends, again')
  assert.ok((await pusher.push([eventText({ seq: 101 })]).done()).ok)
  await pull.untilEvent(101)
  assert.deepEqual(pull.seqs, range(1, 101))
  pusher.close()
  socket.close()
})

test('live pulls that stop reading and go on get every event once', async () => {
  const storeId = newStore('slow')
  const slow = await SyncSocket.open(server, storeId)
  const pull = slow.pull()
  await pull.until(() => pull.caughtUp)
  slow.ws.wire.socket.pause()
  const pusher = await SyncSocket.open(server, storeId)
  const args = JSON.stringify('x'.repeat(100_000))
  for (let seq = 1; seq <= 100; seq++) {
    assert.ok((await pusher.push([eventText({ seq, args })]).done()).ok, 'a slow reader holds up nobody')
  }
  slow.ws.wire.socket.resume()
  await pull.untilEvent(100)
  assert.deepEqual(pull.seqs, range(1, 100))
  pusher.close()
  slow.close()
})

test('slow readers are not queued for', async () => {
  const args = JSON.stringify('x'.repeat(1_000_000))
  await withServer(
    { 'log-level': 'error' },
    async (own) => {
      for (let seq = 1; seq <= 24; seq++) {
        await pushOverHttp(own, 'big', [eventText({ seq, args })])
      }
      const before = own.residentBytes()
      const readers = []
      for (let i = 0; i < 10; i++) {
        const client = await HttpClient.connect(own)
        client.wire.socket.pause()
        client.send('POST', syncTarget('big'), {
          body: requestText(i, 'SyncHttpRpc.Pull', pullPayload('big')),
        })
        readers.push(client)
      }
      const witness = await Bystander.open(own)
      for (let i = 0; i < 20; i++) {
        await witness.check()
      }
      const grown = own.residentBytes() - before
      assert.ok(grown < 10 * 8_000_000, `${grown} bytes for ten readers of 24 MB each`)
      for (const client of readers.slice(0, 2)) {
        client.wire.socket.resume()
        const { chunks } = readAnswer(await client.response())
        assert.deepEqual(chunks.seqs, range(1, 24))
      }
      readers.forEach((client) => client.close())
      witness.close()
    },
    { env: FREED_IS_FREE },
  )
})

test('many live pulls of one store on many sockets all hear the same', async () => {
  const storeId = newStore('audience')
  const sockets = await Promise.all(
    range(1, 40).map((i) => SyncSocket.open(server, storeId, { dialect: i % 2 ? 'v3' : 'v4' })),
  )
  const pulls = sockets.flatMap((socket) => [socket.pull(), socket.pull()])
  for (const pull of pulls) {
    await pull.until(() => pull.caughtUp)
  }
  const push = sockets.map((socket, i) => socket.push([eventText({ seq: 1, client: `c${i}` })]))
  const outcomes = await Promise.all(push.map((asked) => asked.done()))
  assert.equal(outcomes.filter(({ ok }) => ok).length, 1, 'one wins')
  await Promise.all(pulls.map((pull) => pull.untilEvent(1)))
  assert.equal(new Set(pulls.map((pull) => JSON.stringify(pull.events))).size, 1)
  sockets.forEach((socket) => socket.close())
  await bystander.check()
})

// ---- a peer that does not acknowledge ----

test('a pull whose chunks nobody acknowledges is cut after --stall-timeout', async () => {
  await withServer({ 'stall-timeout': '300ms', 'log-level': 'error' }, async (own) => {
    const pusher = await SyncSocket.open(own, 'stall')
    const idle = pusher.pull()
    const socket = await SyncSocket.open(own, 'stall')
    socket.acknowledges = false
    const pull = socket.pull()
    await pull.until(() => pull.caughtUp)
    for (let seq = 1; seq <= 2 * WINDOW; seq++) {
      assert.ok((await pusher.push([eventText({ seq })]).done()).ok)
    }
    const { code, reason } = await socket.untilClosed()
    assert.equal(code, 1013)
    assert.match(reason, /acknowledged/)
    await idle.untilEvent(2 * WINDOW)
    await pusher.ping() // one that acknowledges, or has nothing to, stays
    pusher.close()
  })
})

test('a peer that stops reading is cut after --stall-timeout', async () => {
  await withServer({ 'stall-timeout': '300ms', 'log-level': 'error' }, async (own) => {
    const args = JSON.stringify('x'.repeat(1_000_000))
    for (let seq = 1; seq <= 20; seq++) {
      await pushOverHttp(own, 'big', [eventText({ seq, args })])
    }
    const client = await HttpClient.connect(own)
    client.wire.socket.pause()
    client.send('POST', syncTarget('big'), { body: requestText(1, 'SyncHttpRpc.Pull', pullPayload('big')) })
    // Only the server's own count can tell without reading: the one connection is gone.
    const witness = await HttpClient.connect(own)
    for (;;) {
      const { text } = await witness.ask('GET', '/healthz')
      assert.match(text, /ok/)
      if (client.wire.socket.destroyed || (await isCut(client))) {
        break
      }
    }
    witness.close()
    client.close()
  })
})

// Whether the peer has cut the connection: a write to it fails some time after that.
async function isCut(client) {
  client.wire.write('x')
  await new Promise((resolve) => setTimeout(resolve, 20))
  return client.wire.error !== null || client.wire.closed
}

test('the server ends well after all of this', () => server.stop())
