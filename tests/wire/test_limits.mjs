// Every limit, at it and one over it: what is over is refused with the limit's name, what is at it works.
import assert from 'node:assert/strict'
import test from 'node:test'
import { argsTarget, electricArgs, pullElectric, push, s2Args } from './lib/doors.mjs'
import { HttpClient, ask, buildRequest, syncTarget } from './lib/http.mjs'
import { startServer, withServer } from './lib/server.mjs'
import {
  Bystander,
  SyncSocket,
  chain,
  eventText,
  newStore,
  postSync,
  pullOverHttp,
  pullPayload,
  pushOverHttp,
  requestText,
} from './lib/sync.mjs'
import { Wire, pause } from './lib/wire.mjs'
import { HandshakeRefused, OP, WsClient } from './lib/ws.mjs'

const KIB = 1024
const server = await startServer({
  'log-level': 'error',
  'event-bytes-max': 4 * KIB,
  'message-bytes-max': 256 * KIB,
  'pulls-per-connection-max': 3,
})
const bystander = await Bystander.open(server)
const limitTest = (name, body) =>
  test(name, async () => {
    await body()
    await bystander.check()
  })

// A push over both transports, each to a store of its own: both outcomes must be alike.
async function pushes(events) {
  const storeId = newStore('limits')
  const socket = await SyncSocket.open(server, storeId)
  const overWs = await socket.push(events).done()
  const overHttp = (await pushOverHttp(server, storeId + 'h', events)).exit
  const pull = socket.pull({ live: false })
  await pull.done()
  socket.close()
  assert.deepEqual(overWs, overHttp)
  assert.equal(pull.events.length, overWs.ok ? events.length : 0)
  return { ...overWs, events: pull.events }
}

async function accepts(events) {
  const result = await pushes(events)
  assert.ok(result.ok, JSON.stringify(result.error ?? result.defect))
  return result.events
}

async function refuses(events, pattern) {
  const { ok, kind, error, defect } = await pushes(events)
  assert.ok(!ok)
  assert.match(kind === 'Die' ? defect : error.cause, pattern)
}

// ---- names ----

limitTest('a storeId of 512 bytes, not of 513', async () => {
  for (const storeId of ['x'.repeat(512), 'ü'.repeat(256), '😀'.repeat(128)]) {
    const socket = await SyncSocket.open(server, storeId)
    assert.ok((await socket.push([eventText({ seq: 1 })]).done()).ok)
    socket.close()
    assert.equal((await pullOverHttp(server, storeId)).chunks.last, 1)

    const longer = storeId + 'x'
    await assert.rejects(SyncSocket.open(server, longer), (error) => {
      assert.ok(error instanceof HandshakeRefused)
      assert.equal(error.response.status, 400)
      assert.match(error.response.text, /storeId has 513 bytes; the limit is 512/)
      return true
    })
    const response = await ask(server, 'POST', syncTarget(longer), { body: '{"_tag":"Ping"}' })
    assert.equal(response.status, 400)
    assert.match(response.text, /storeId has 513 bytes/)
  }
})

for (const [field, option] of [
  ['name', 'name'],
  ['clientId', 'client'],
  ['sessionId', 'session'],
]) {
  limitTest(`a ${field} of 512 bytes, not of 513`, async () => {
    for (const value of ['x'.repeat(512), 'é'.repeat(256), '"\\'.repeat(256), '\n'.repeat(512)]) {
      const [event] = await accepts([eventText({ seq: 1, [option]: value })])
      assert.equal(event[field], value)
      const longer = eventText({ seq: 1, [option]: value + 'x' })
      await refuses([longer], new RegExp(`batch\\[0\\]\\.${field} has 513 bytes; the limit is 512`))
    }
  })
}

limitTest('clientId and sessionId may be empty, name may not', async () => {
  const [event] = await accepts([eventText({ seq: 1, client: '', session: '' })])
  assert.deepEqual([event.clientId, event.sessionId], ['', ''])
  await refuses([eventText({ seq: 1, name: '' })], /batch\[0\]\.name is empty/)
})

limitTest('a backend id of 64 bytes is just a wrong one, of 65 it is over the limit', async () => {
  const socket = await SyncSocket.open(server, newStore('ids'))
  for (const [bytes, tag] of [
    [64, 'BackendIdMismatchError'],
    [65, 'UnknownError'],
  ]) {
    const backendId = 'b'.repeat(bytes)
    const push = await socket.push([eventText({ seq: 1 })], { backendId }).done()
    const pull = await socket.pull({ cursor: { backendId, seq: 0 } }).done()
    for (const { error } of [push, pull]) {
      assert.equal(error._tag, tag)
      assert.match(JSON.stringify(error), tag === 'UnknownError' ? /more than 64 bytes/ : /bbb/)
    }
  }
  socket.close()
})

limitTest('a request id of 128 bytes with its quotes, not of 129', async () => {
  const socket = await SyncSocket.open(server, newStore('ids'))
  const id = 'i'.repeat(126)
  assert.ok((await socket.push([], { id }).done()).ok)
  socket.push([], { id: id + 'i' })
  await socket.until(() => socket.defects.length === 1, 'a defect')
  assert.match(socket.defects[0], /128 bytes/)
  socket.close()
})

// ---- numbers ----

for (const seq of ['1', '9007199254740991']) {
  limitTest(`the sequence number ${seq} is good`, async () => {
    const [event] = await accepts([eventText({ seq, parent: 0 })])
    assert.equal(event.seqNum, Number(seq))
  })
}
const BAD_NUMBERS = [
  '9007199254740992',
  '18446744073709551616',
  '1.0',
  '1e3',
  '-1',
  '-0',
  '"1"',
  '1e400',
  'null',
  '[1]',
]
for (const seq of BAD_NUMBERS) {
  limitTest(`the sequence number ${seq} is refused`, () =>
    refuses([eventText({ seq, parent: 0 })], /batch\[0\]\.seqNum must be an integer/),
  )
  limitTest(`the parent sequence number ${seq} is refused`, () =>
    refuses([eventText({ seq: 1, parent: seq })], /batch\[0\]\.parentSeqNum must be an integer/),
  )
}
limitTest('the sequence number 0 is refused', () =>
  refuses([eventText({ seq: 0, parent: 0 })], /batch\[0\]\.seqNum must be from 1/),
)

limitTest('numbers may have gaps, and a log may start anywhere', async () => {
  const numbers = [20_000, 20_001, 30_000, 2 ** 52, 2 ** 53 - 2, 2 ** 53 - 1]
  const events = numbers.map((seq, i) => eventText({ seq, parent: numbers[i - 1] ?? 0 }))
  assert.deepEqual(
    (await accepts(events)).map(({ seqNum }) => seqNum),
    numbers,
  )
})

limitTest('after the last number nothing can follow, and pushes say so', async () => {
  const socket = await SyncSocket.open(server, newStore('last'))
  const last = 2 ** 53 - 1
  assert.ok((await socket.push([eventText({ seq: last, parent: 0 })]).done()).ok)
  const { error } = await socket.push([eventText({ seq: 1, client: 'other' })]).done()
  assert.equal(error.minimumExpectedNum, last)
  const { defect } = await socket.push([eventText({ seq: '9007199254740992', parent: last })]).done()
  assert.match(defect, /seqNum/)
  const pull = socket.pull({ live: false, cursor: { backendId: 'x', seq: last } })
  assert.equal((await pull.done()).error._tag, 'BackendIdMismatchError')
  socket.close()
})

// ---- sizes ----

// An event whose name, args and ids have `bytes` bytes together.
const eventOf = (bytes, options = {}) => {
  const rest = Buffer.byteLength('v1.Noted' + 'c1' + 's1') + 2
  return eventText({ seq: 1, args: `"${'x'.repeat(bytes - rest)}"`, ...options })
}
limitTest('an event at --event-bytes-max, not over it', async () => {
  await accepts([eventOf(4 * KIB)])
  await refuses([eventOf(4 * KIB + 1)], /batch\[0\].*4097 bytes.*4096.*--event-bytes-max/)
})

limitTest('one event over the limit refuses its whole batch', () =>
  refuses([eventText({ seq: 1 }), eventOf(4 * KIB + 1, { seq: 2 })], /batch\[1\].*--event-bytes-max/),
)

limitTest('a batch of 1,000 events, not of 1,001', async () => {
  await accepts(chain(0, 1000))
  await refuses(chain(0, 1001), /batch has .*1000/)
})

limitTest('an empty batch is acknowledged', async () => {
  await accepts([])
})

// A Ping whose text has `bytes` bytes.
const pingOf = (bytes) => `{"_tag":"Ping","x":"${'x'.repeat(bytes - 22)}"}`
limitTest('a message at --message-bytes-max, not over it (WebSocket)', async () => {
  assert.equal(pingOf(100).length, 100)
  const atIt = await SyncSocket.open(server, newStore('message'))
  atIt.send(pingOf(256 * KIB))
  await atIt.until(() => atIt.pongs === 1, 'a Pong')
  for (const split of [null, 1, 100_000, 256 * KIB]) {
    const over = await WsClient.connect(server, syncTarget('message', 'ws'))
    const text = pingOf(256 * KIB + 1)
    if (split === null) {
      over.sendText(text)
    } else {
      over.sendFrame(OP.text, text.slice(0, split), { fin: false })
      over.sendFrame(OP.continuation, text.slice(split))
    }
    const { code, reason } = await over.untilClosed()
    assert.equal(code, 1009)
    assert.match(reason, /--message-bytes-max/)
  }
  await atIt.ping()
  atIt.close()
})

limitTest('a message at --message-bytes-max, not over it (HTTP)', async () => {
  const target = syncTarget(newStore('message'))
  const atIt = await ask(server, 'POST', target, { body: pingOf(256 * KIB) })
  assert.equal(atIt.text, '[{"_tag":"Pong"}]')
  const over = await ask(server, 'POST', target, { body: pingOf(256 * KIB + 1) })
  assert.equal(over.status, 413)
  assert.match(over.text, /--message-bytes-max/)
})

// ---- counts ----

// Without this bound one frame of small messages keeps everybody waiting, and its answers fill the memory.
limitTest('1,000 messages in one frame, not 1,001', async () => {
  const pings = (count) => `[${Array(count).fill('{"_tag":"Ping"}').join(',')}]`
  const socket = await SyncSocket.open(server, newStore('frame'))
  socket.send(pings(1000))
  await socket.until(() => socket.pongs === 1000, '1000 Pongs')
  socket.send(pings(1001))
  await socket.until(() => socket.defects.length === 1, 'a Defect')
  assert.match(JSON.stringify(socket.defects[0]), /more than 1000 messages/)
  assert.equal(socket.pongs, 1000)
  socket.close()
  const target = syncTarget(newStore('frame'))
  const atIt = await ask(server, 'POST', target, { body: pings(1000) })
  assert.equal(JSON.parse(atIt.text).length, 1000)
  const over = await ask(server, 'POST', target, { body: pings(1001) })
  assert.equal(over.status, 413)
  assert.match(over.text, /"Defect".*more than 1000 messages/)
})

limitTest('pulls on one connection up to --pulls-per-connection-max', async () => {
  const socket = await SyncSocket.open(server, newStore('pulls'))
  const pulls = [1, 2, 3].map(() => socket.pull())
  const over = socket.pull()
  const { error } = await over.done()
  assert.equal(error._tag, 'UnknownError')
  assert.match(error.cause, /--pulls-per-connection-max/)
  for (const pull of pulls) {
    await pull.until(() => pull.caughtUp)
  }
  assert.ok((await socket.push([eventText({ seq: 1 })]).done()).ok)
  pulls.forEach((pull) => assert.deepEqual(pull.seqs, [1]))
  socket.interrupt(pulls[0].id)
  await pulls[0].done()
  const next = socket.pull()
  await next.untilEvent(1)
  socket.close()
})

limitTest('more pushes at once than are read ahead are all answered, in order', async () => {
  const socket = await SyncSocket.open(server, newStore('many'))
  const asked = Array.from({ length: 500 }, (_, i) => socket.push([eventText({ seq: i + 1 })]))
  for (const push of asked) {
    assert.ok((await push.done()).ok)
  }
  const exits = socket.log.filter(({ kind }) => kind === 'Exit').map(({ id }) => id)
  assert.deepEqual(
    exits,
    asked.map(({ id }) => id),
  )
  socket.close()
})

test('connections up to --connections-max; one that is refused may come again later', async () => {
  await withServer({ 'connections-max': 4 }, async (own) => {
    const sockets = []
    for (let i = 0; i < 4; i++) {
      sockets.push(await SyncSocket.open(own, 'crowd'))
    }
    for (const method of ['GET', 'POST']) {
      const client = await HttpClient.connect(own)
      const response = await client.response() // without having asked
      assert.equal(response.status, 503, method)
      assert.match(response.text, /--connections-max/)
      client.close()
    }
    await assert.rejects(SyncSocket.open(own, 'crowd'), /--connections-max|closed|ECONNRESET/)
    const pull = sockets[0].pull()
    sockets.pop().close()
    for (;;) {
      try {
        sockets.push(await SyncSocket.open(own, 'crowd'))
        break
      } catch (error) {
        assert.match(error.message, /--connections-max|closed|ECONNRESET|EPIPE/) // not noticed yet
      }
    }
    assert.ok((await sockets[3].push([eventText({ seq: 1 })]).done()).ok)
    await pull.untilEvent(1)
    sockets.forEach((socket) => socket.close())
  })
})

// ---- what is received or worked on, over all connections ----

test('messages that are being received count against --inflight-bytes-max', async () => {
  await withServer(
    { 'inflight-bytes-max': '256K', 'message-bytes-max': '200K', 'event-bytes-max': '64K' },
    async (own) => {
      const live = await SyncSocket.open(own, 'busy')
      const pull = live.pull()
      const hoarder = await WsClient.connect(own, syncTarget('hoarder', 'ws'))
      const half = '{"_tag":"Ping","x":"' + 'x'.repeat(190 * KIB)
      hoarder.sendFrame(OP.text, half, { fin: false })
      hoarder.sendFrame(OP.ping, 'read') // a Pong: the fragment has been taken in
      await hoarder.wire.until(() => hoarder.pongs.length === 1, 'a pong')

      const big = [eventText({ seq: 1, args: JSON.stringify('y'.repeat(60 * KIB)) })]
      const pusher = await SyncSocket.open(own, 'busy')
      const refused = await pusher.push(big).done()
      assert.equal(refused.error._tag, 'UnknownError', 'which the clients retry')
      assert.match(refused.error.cause, /--inflight-bytes-max/)
      const overHttp = await ask(own, 'POST', syncTarget('busy'), { body: pingOf(100 * KIB) })
      assert.equal(overHttp.status, 503)
      assert.match(overHttp.text, /--inflight-bytes-max/)
      const second = await WsClient.connect(own, syncTarget('hoarder', 'ws'))
      second.sendFrame(OP.text, half, { fin: false })
      const { code, reason } = await second.untilClosed()
      assert.equal(code, 1013)
      assert.match(reason, /--inflight-bytes-max/)
      await live.ping()

      hoarder.sendFrame(OP.continuation, '"}')
      assert.equal(await hoarder.nextMessage(), '{"_tag":"Pong"}')
      assert.ok((await pusher.push(big).done()).ok, 'there is room again')
      await pull.untilEvent(1)
      for (const socket of [hoarder, second, pusher, live]) {
        ;(socket.ws ?? socket).destroy()
      }
    },
  )
})

test('a body that is being received counts, and is given back when its client goes', async () => {
  await withServer(
    { 'inflight-bytes-max': '256K', 'message-bytes-max': '200K', 'event-bytes-max': '64K' },
    async (own) => {
      const target = syncTarget('busy')
      const hoarder = await HttpClient.connect(own)
      const text = pingOf(190 * KIB)
      const request = buildRequest('POST', target, {
        headers: { 'content-length': text.length + 1, expect: '100-continue' },
      })
      hoarder.wire.write(request)
      assert.equal((await hoarder.response()).status, 100)
      hoarder.wire.write(text)
      // Until the body has been taken in: what is refused then was not before.
      let status = 200
      while (status === 200) {
        status = (await ask(own, 'POST', target, { body: pingOf(100 * KIB) })).status
      }
      assert.equal(status, 503)
      hoarder.close()
      while (status === 503) {
        status = (await ask(own, 'POST', target, { body: pingOf(100 * KIB) })).status
      }
      assert.equal(status, 200)
    },
  )
})

// A pull with as much behind it as is read at once.
async function pullWithMoreBehind(own, target) {
  const wire = await Wire.connect({ port: own.port })
  const behind = buildRequest('HEAD', '/s2').toString().repeat(1000).slice(0, 60 * KIB)
  wire.write(Buffer.concat([buildRequest('GET', target), Buffer.from(behind)]))
  return wire
}

test('what waits behind a long poll counts, and is given back; behind a stream, which is the last, nothing does', async () => {
  const flags = { 'inflight-bytes-max': '512K', 'message-bytes-max': '400K', 'event-bytes-max': '64K' }
  await withServer(flags, async (own) => {
    const { at } = await pullElectric(own, 'busy')
    const poll = argsTarget('/electric', electricArgs('busy', { at, live: true }))
    const stream = argsTarget('/s2', s2Args('busy', { live: true }))
    const streams = []
    for (let i = 0; i < 40; i++) {
      const wire = await pullWithMoreBehind(own, stream)
      await wire.until(() => wire.bytes.length > 0, 'the head of a stream')
      streams.push(wire)
    }
    assert.equal((await ask(own, 'POST', syncTarget('busy'), { body: pingOf(390 * KIB) })).status, 200)
    assert.ok(streams.every((wire) => !wire.closed))

    const polls = []
    for (let i = 0; i < 40; i++) {
      polls.push(await pullWithMoreBehind(own, poll))
    }
    while (polls.filter((wire) => wire.closed).length < 20) {
      await pause(20) // until there is no room for more
    }
    for (const wire of polls) {
      wire.destroy()
    }
    await push(own, '/electric', 'busy', chain(0, 1)) // ends the polls
    while ((await ask(own, 'POST', syncTarget('busy'), { body: pingOf(390 * KIB) })).status !== 200) {
      await pause(20)
    }
    for (const wire of streams) {
      wire.destroy()
    }
  })
})

test('pushes that are worked on count, and are given back: many in turn, each over the half', async () => {
  await withServer(
    { 'inflight-bytes-max': '512K', 'message-bytes-max': '300K', 'event-bytes-max': '64K' },
    async (own) => {
      const socket = await SyncSocket.open(own, 'turns')
      for (let i = 0; i < 40; i++) {
        const events = chain(i * 2, 2, { args: JSON.stringify('z'.repeat(50 * KIB)) })
        assert.ok((await socket.push(events).done()).ok)
        const http = await pushOverHttp(own, 'turns-http', events)
        assert.ok(http.exit.ok)
      }
      socket.close()
    },
  )
})

test('flags that cannot be are refused with their name', async () => {
  const cases = [
    [{ 'event-bytes-max': '2M', 'message-bytes-max': '1M' }, /--event-bytes-max.*--message-bytes-max/],
    [{ 'connections-max': '0' }, /--connections-max/],
    [{ 'connections-max': '-1' }, /--connections-max/],
    [{ 'head-timeout': 'soon' }, /--head-timeout.*500ms/],
    [{ 'log-level': 'loud' }, /--log-level.*debug info warn error/],
    [{ 'no-such-flag': '1' }, /--no-such-flag/],
    [{ 'tls-cert': 'x.pem' }, /--tls-key/],
    [{ listen: '127.0.0.1:99999' }, /99999/],
    [{ listen: '[::1:0' }, /\[::1:0/], // not every address there is
    [{}, /LISTEN_FDS is '2'; one socket/, { LISTEN_FDS: '2' }],
    [{}, /descriptor 3 is no socket that listens/, { LISTEN_FDS: '1' }],
  ]
  for (const [flags, pattern, env = {}] of cases) {
    const own = await startServer(flags, { mayFail: true, env })
    assert.equal(own.port, undefined, JSON.stringify(flags))
    assert.equal(own.code, 2, JSON.stringify(flags)) // asked wrongly
    assert.match(own.stderr, pattern)
    own.assertCalm()
  }
})

limitTest('a pull that cannot be says why: past the head, or not an event', async () => {
  const storeId = newStore('cursor')
  const socket = await SyncSocket.open(server, storeId)
  const live = socket.pull()
  assert.ok(
    (await socket.push([eventText({ seq: 10, parent: 0 }), eventText({ seq: 20, parent: 10 })]).done()).ok,
  )
  const { backendId } = live
  for (const [seq, pattern] of [
    [21, /cursor 21 is past the store's head 20/],
    [2 ** 53 - 1, /past the store's head/],
    [15, /cursor 15 is not an event of this log/],
    [1, /cursor 1 is not an event/],
  ]) {
    for (const isLive of [true, false]) {
      const { error } = await socket.pull({ live: isLive, cursor: { backendId, seq } }).done()
      assert.equal(error._tag, 'UnknownError')
      assert.match(error.cause, pattern)
    }
    const body = requestText('1', 'SyncHttpRpc.Pull', pullPayload(storeId, { cursor: { backendId, seq } }))
    const { exit } = await postSync(server, storeId, body)
    assert.match(exit.error.cause, pattern)
  }
  for (const [seq, seqs] of [
    [0, [10, 20]],
    [10, [20]],
    [20, []],
  ]) {
    const pull = socket.pull({ live: false, cursor: { backendId, seq } })
    assert.ok((await pull.done()).ok)
    assert.deepEqual(pull.seqs, seqs)
  }
  const mismatch = await socket.pull({ cursor: { backendId: 'another', seq: 10 } }).done()
  assert.deepEqual(mismatch.error, {
    _tag: 'BackendIdMismatchError',
    expected: backendId,
    received: 'another',
  })
  const push = await socket.push([eventText({ seq: 21, parent: 20 })], { backendId: 'another' }).done()
  assert.deepEqual(push.error, mismatch.error)
  assert.ok((await socket.push([eventText({ seq: 21, parent: 20 })], { backendId }).done()).ok)
  assert.deepEqual(live.seqs, [10, 20, 21])
  socket.close()
})

test('the server ends well after all of this', () => server.stop())
