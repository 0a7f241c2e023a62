// The endpoint of @livestore/sync-s2: event streams, positions, pushes, and everything that a client or
// somebody else may do wrong to it.
import assert from 'node:assert/strict'
import test from 'node:test'
import { EventStream, argsTarget, fill, push, pushBody, pushText, s2Args } from './lib/doors.mjs'
import { HttpClient, ask, buildRequest } from './lib/http.mjs'
import { FREED_IS_FREE, IS_TSAN, startServer, temporaryDirectory, withServer } from './lib/server.mjs'
import { Bystander, chain, eventText, newStore, pushOverHttp } from './lib/sync.mjs'
import { Wire, pause } from './lib/wire.mjs'

const MIB = 1024 * 1024
const quiet = { 'log-level': 'error' }
const server = await startServer(quiet)
const bystander = await Bystander.open(server)
const s2Test = (name, body) =>
  test(name, async () => {
    await body()
    await bystander.check()
  })

async function newFilledStore(count, options) {
  const storeId = newStore('s2')
  await fill(server, '/s2', storeId, chain(0, count, options))
  return storeId
}

// ---- pulls ----

s2Test('HEAD is answered without looking at anything', async () => {
  for (const target of ['/s2', '/s2?args=%', argsTarget('/s2', s2Args('x', { live: true }))]) {
    const response = await ask(server, 'HEAD', target)
    assert.equal(response.status, 200)
    assert.equal(response.body.length, 0)
  }
})

s2Test('a catch-up is a batch, its end and [DONE], to the byte', async () => {
  const storeId = newStore('s2')
  const args = '{ "b" : "a\\u000ab", "n":1.0 ,\n "a":9007199254740993}'
  await push(server, '/s2', storeId, [eventText({ seq: 3, parent: 0, args })])
  const response = await ask(server, 'GET', argsTarget('/s2', s2Args(storeId)))
  assert.equal(response.status, 200)
  assert.equal(response.headers['content-type'], 'text/event-stream')
  assert.equal(response.headers['transfer-encoding'], 'chunked')
  const time = /"timestamp":(\d+)/.exec(response.text)[1]
  assert.ok(Math.abs(Number(time) - Date.now()) < 60_000)
  const body = eventText({ seq: 3, parent: 0, args })
  assert.equal(
    response.text,
    `event: batch\ndata: {"records":[{"body":${JSON.stringify(body)},"seq_num":0,"timestamp":${time}}],` +
      `"tail":{"seq_num":1,"timestamp":${time}}}\nid: 0\n\ndata: [DONE]\n\n`,
  )
})

s2Test('an empty store has nothing but an end', async () => {
  const stream = await EventStream.all(server, s2Args(newStore('s2')))
  assert.deepEqual(stream.events, [{ event: 'message', data: '[DONE]', id: null }])
})

s2Test('a pull starts behind the position it names', async () => {
  const storeId = await newFilledStore(10)
  for (const [after, positions] of [
    ['from-start', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [0, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [7, [8, 9]],
    [9, []],
  ]) {
    const stream = await EventStream.all(server, s2Args(storeId, { after }))
    assert.deepEqual(stream.positions, positions)
    assert.ok(stream.done)
  }
})

s2Test('positions are dense where sequence numbers are not', async () => {
  const storeId = newStore('s2')
  const seqs = [5, 6, 1000, 2 ** 40, 2 ** 53 - 1]
  const events = seqs.map((seq, i) => eventText({ seq, parent: seqs[i - 1] ?? 0 }))
  await fill(server, '/s2', storeId, events)
  const whole = await EventStream.all(server, s2Args(storeId))
  assert.deepEqual(whole.positions, [0, 1, 2, 3, 4])
  assert.deepEqual(whole.seqs, seqs)
  for (let after = 0; after < 5; after++) {
    const stream = await EventStream.all(server, s2Args(storeId, { after }))
    assert.deepEqual(stream.seqs, seqs.slice(after + 1))
  }
})

s2Test('a long catch-up comes in batches of 1000 that all know the exact tail', async () => {
  const storeId = await newFilledStore(2500)
  const stream = await EventStream.all(server, s2Args(storeId))
  assert.deepEqual(stream.positions, Array.from({ length: 2500 }, (_, i) => i))
  assert.deepEqual(stream.batches, [
    { count: 1000, tail: 2500, id: '999' },
    { count: 1000, tail: 2500, id: '1999' },
    { count: 500, tail: 2500, id: '2499' },
  ])
  assert.ok(stream.done)
})

s2Test('a position past the tail is an error event beside the status', async () => {
  const storeId = await newFilledStore(3)
  for (const [store, after] of [
    [storeId, 3],
    [storeId, 2 ** 53 - 1],
    [newStore('s2'), 0],
  ]) {
    for (const live of [false, true]) {
      const stream = await EventStream.all(server, s2Args(store, { after, live }))
      assert.equal(stream.head.status, 409)
      assert.equal(stream.head.headers['content-type'], 'text/event-stream')
      assert.equal(stream.events.length, 1)
      assert.match(stream.errors[0], /past the store's tail/)
    }
  }
})

s2Test('arguments are understood encoded once and twice', async () => {
  const storeId = newStore('s2 +%25&=#"\\é\u{1f600}')
  await push(server, '/s2', storeId, chain(0, 2))
  for (const times of [1, 2]) {
    const stream = await EventStream.all(server, s2Args(storeId, { payload: { '%41': '+ %' } }), { times })
    assert.deepEqual(stream.seqs, [1, 2])
  }
  // As URLSearchParams writes it, with + for a space.
  const search = new URLSearchParams({ args: JSON.stringify(s2Args(storeId)) })
  const response = await ask(server, 'GET', `/s2?x=1&${search}`)
  assert.match(response.text, /"tail":\{"seq_num":2,/)
  for (const second of ['args=second', '%61rgs=second', 'args']) {
    const refused = await ask(server, 'GET', `/s2?${search}&${second}`)
    assert.equal(refused.status, 400)
    assert.match(refused.text, /args is given more than once/)
  }
})

s2Test('the last event id of an EventSource that connects again goes before its arguments', async () => {
  const storeId = await newFilledStore(5)
  const pulled = async (id, after) =>
    (await EventStream.all(server, s2Args(storeId, { after }), { headers: { 'Last-Event-ID': id } })).positions
  assert.deepEqual(await pulled('2', 'from-start'), [3, 4])
  assert.deepEqual(await pulled('0', 3), [1, 2, 3, 4])
  assert.deepEqual(await pulled('4', 'from-start'), [])
  for (const id of ['', 'x', '-1', '1.5', '99999999999999999999', '1 2', '0x1']) {
    assert.deepEqual(await pulled(id, 2), [3, 4], id)
  }
  const past = await EventStream.all(server, s2Args(storeId), { headers: { 'last-event-id': '5' } })
  assert.equal(past.head.status, 409)
})

s2Test('two pulls follow each other on one connection', async () => {
  const storeId = await newFilledStore(2)
  const client = await HttpClient.connect(server)
  for (const after of ['from-start', 0]) {
    const response = await client.ask('GET', argsTarget('/s2', s2Args(storeId, { after })))
    assert.ok(response.text.endsWith('data: [DONE]\n\n'))
  }
  assert.equal((await client.ask('HEAD', '/s2')).status, 200)
  client.close()
})

s2Test('HTTP/1.0 gets the stream without chunks, up to the end of the connection', async () => {
  const storeId = await newFilledStore(3)
  const stream = await EventStream.all(server, s2Args(storeId), { version: '1.0' })
  assert.equal(stream.head.headers.connection, 'close')
  assert.ok(!('transfer-encoding' in stream.head.headers))
  assert.deepEqual(stream.seqs, [1, 2, 3])
  assert.ok(stream.done)
  const live = await EventStream.open(server, s2Args(storeId, { live: true }), { version: '1.0' })
  await live.untilRecords(3)
  await push(server, '/s2', storeId, chain(3, 1))
  await live.untilRecords(4)
  live.close()
})

// ---- live ----

s2Test('a live pull begins at once, and a batch arrives when its event commits', async () => {
  const storeId = newStore('s2')
  const stream = await EventStream.open(server, s2Args(storeId, { live: true }))
  assert.equal(stream.head.status, 200)
  assert.equal(stream.head.headers['content-type'], 'text/event-stream')
  assert.equal(stream.head.headers.connection, 'close') // so nobody asks on it when the server ends
  for (let seq = 1; seq <= 20; seq++) {
    await push(server, '/s2', storeId, chain(seq - 1, 1))
    await stream.untilRecords(seq)
    assert.deepEqual(stream.batches.at(-1), { count: 1, tail: seq, id: String(seq - 1) })
  }
  assert.ok(!stream.ended && !stream.done)
  stream.close()
})

s2Test('a catch-up and the live stream join without gap or repeat', async () => {
  const storeId = await newFilledStore(1500)
  const rounds = Array.from({ length: 60 }, (_, i) => chain(1500 + 5 * i, 5))
  const streams = []
  for (const events of rounds) {
    const pushed = push(server, '/s2', storeId, events)
    if (streams.length < 20) {
      streams.push(await EventStream.start(server, s2Args(storeId, { live: true, after: 40 * streams.length })))
    }
    assert.equal((await pushed).status, 200)
  }
  for (const [i, stream] of streams.entries()) {
    await stream.untilRecords(1799 - 40 * i) // that they are dense, and one chain, is checked as they come
    assert.equal(stream.positions[0], 40 * i + 1)
    assert.equal(stream.seqs.at(-1), 1800)
    stream.close()
  }
})

s2Test('what waits behind a stream on its connection is answered after it, or never', async () => {
  const storeId = await newFilledStore(2)
  const behind = buildRequest('HEAD', '/s2', { headers: { connection: 'close' } })
  const ended = await EventStream.all(server, s2Args(storeId), { behind })
  assert.match(ended.wire.bytes.toString(), /^$|^HTTP\/1\.1 200 OK\r\n/)
  const stream = await EventStream.open(server, s2Args(storeId, { live: true }), { behind })
  for (let i = 0; i < 100; i++) {
    stream.wire.write(behind)
  }
  await push(server, '/s2', storeId, chain(2, 1))
  await stream.untilRecords(3)
  assert.equal(stream.wire.bytes.length, 0)
  stream.close()
})

test('a silent live stream gets pings, one that is not live does not', async () => {
  await withServer({ ...quiet, 'event-stream-ping-interval': '30ms' }, async (own) => {
    const stream = await EventStream.open(own, s2Args('pinged', { live: true }))
    await stream.until(() => stream.pings >= 3, 'pings')
    await push(own, '/s2', 'pinged', chain(0, 2))
    await stream.untilRecords(2)
    const before = stream.pings
    await stream.until(() => stream.pings >= before + 3, 'pings after a batch')
    stream.close()
    assert.equal((await EventStream.all(own, s2Args('pinged'))).pings, 0)
  })
})

test('the places of clients that went away are free after a ping', async () => {
  const flags = { ...quiet, 'event-stream-ping-interval': '50ms', 'connections-max': 12 }
  await withServer(flags, async (own) => {
    for (let round = 0; round < 5; round++) {
      const open = Array.from({ length: 10 }, () => openWhenThereIsRoom(own, s2Args('gone', { live: true })))
      for (const stream of await Promise.all(open)) {
        stream.close()
      }
    }
  })
})

async function openWhenThereIsRoom(own, args) {
  for (;;) {
    const stream = await EventStream.start(own, args)
    await stream.until(() => stream.head, 'an answer', { evenClosed: true })
    if (stream.head?.status === 200) {
      return stream
    }
    stream.close()
    await pause(20)
  }
}

// ---- slow readers ----

const BIG = JSON.stringify('x'.repeat(MIB - 1000))

async function pushBig(own, storeId, from, count) {
  for (let seq = from + 1; seq <= from + count; seq++) {
    assert.equal((await push(own, '/s2', storeId, [eventText({ seq, args: BIG })])).status, 200)
  }
}

test('a reader that stops is not queued for, and gets everything when it reads again', async () => {
  await withServer(
    quiet,
    async (own) => {
      await pushBig(own, 'slow', 0, 8)
      const stopped = []
      for (let i = 0; i < 8; i++) {
        const stream = await EventStream.open(own, s2Args('slow', { live: true, after: i === 0 ? 'from-start' : 7 }))
        await stream.untilRecords(i === 0 ? 1 : 0)
        stream.wire.socket.pause()
        stopped.push(stream)
      }
      await pushBig(own, 'slow', 8, 4)
      const before = own.residentBytes()
      await pushBig(own, 'slow', 12, 68)
      const grown = own.residentBytes() - before
      // Less than one copy, which all could share. ThreadSanitizer remembers every page that was ever touched.
      assert.ok(IS_TSAN || grown < 48 * MIB, `it has grown by ${(grown / MIB).toFixed(1)} MiB for 68 MiB unread`)
      const witness = await EventStream.open(own, s2Args('slow', { live: true, after: 79 }))
      await push(own, '/s2', 'slow', chain(80, 1))
      await witness.untilRecords(1)
      for (const [i, stream] of stopped.entries()) {
        stream.wire.socket.resume()
        await stream.untilRecords(i === 0 ? 81 : 73)
        stream.close()
      }
      witness.close()
    },
    { env: FREED_IS_FREE, data: temporaryDirectory() },
  )
})

test('a reader that stops for good is cut after --stall-timeout', async () => {
  await withServer({ ...quiet, 'stall-timeout': '300ms', 'connections-max': 2 }, async (own) => {
    await pushBig(own, 'stalled', 0, 20)
    for (const live of [false, true]) {
      const stream = await EventStream.open(own, s2Args('stalled', { live }))
      stream.wire.socket.pause()
      const witness = await Wire.connect({ port: own.port })
      for (;;) {
        // There is room for a third connection when the stalled one is gone.
        const response = await ask(own, 'HEAD', '/s2', { method: 'HEAD' }).catch(() => null)
        if (response?.status === 200) {
          break
        }
        await pause(20)
      }
      witness.destroy()
      stream.close()
    }
  })
})

// ---- pushes ----

s2Test('a push is acknowledged, and again when it comes again', async () => {
  const storeId = newStore('s2')
  assert.deepEqual(await push(server, '/s2', storeId, chain(0, 3)), { status: 200, success: true })
  assert.equal((await push(server, '/s2', storeId, chain(0, 3))).status, 200)
  assert.equal((await push(server, '/s2', storeId, chain(1, 1))).status, 200)
  assert.equal((await push(server, '/s2', storeId, chain(1, 5))).status, 200) // a prefix is stored
  assert.equal((await push(server, '/s2', storeId, [])).status, 200)
  assert.deepEqual((await EventStream.all(server, s2Args(storeId))).seqs, [1, 2, 3, 4, 5, 6])
})

s2Test('a stale push is a conflict that says what is expected', async () => {
  const storeId = await newFilledStore(5)
  for (const events of [chain(3, 2, { client: 'c2' }), chain(0, 1, { args: '1' }), chain(7, 1)]) {
    const answer = await push(server, '/s2', storeId, events)
    assert.equal(answer.status, 409)
    assert.equal(answer.error, 'SERVER_AHEAD')
    assert.equal(answer.minimumExpectedNum, 5)
  }
  assert.equal((await push(server, '/s2', storeId, chain(5, 1, { client: 'c2' }))).status, 200)
})

s2Test('of two clients that push at once one wins, and the other can rebase', async () => {
  const storeId = newStore('s2')
  for (let head = 0; head < 40; head += 2) {
    const both = ['c1', 'c2'].map((client) => push(server, '/s2', storeId, chain(head, 1, { client })))
    const answers = await Promise.all(both)
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409])
    const loser = answers[0].status === 409 ? 'c1' : 'c2'
    assert.equal((await push(server, '/s2', storeId, chain(head + 1, 1, { client: loser }))).status, 200)
  }
})

s2Test('what is over a limit is too large', async () => {
  const storeId = newStore('s2')
  const large = await push(server, '/s2', storeId, [eventText({ seq: 1, args: JSON.stringify('x'.repeat(MIB)) })])
  assert.equal(large.status, 413)
  assert.equal(large.error, 'LIMIT')
  const many = await push(server, '/s2', storeId, chain(0, 1001))
  assert.equal(many.status, 413)
  assert.equal((await push(server, '/s2', storeId, chain(0, 1000))).status, 200)
  const huge = await ask(server, 'POST', '/s2', { headers: { 'content-length': 17 * MIB } })
  assert.equal(huge.status, 413)
})

const whole = eventText({ seq: 1 })
const HOSTILE_BODIES = [
  '',
  ' ',
  '{',
  'null',
  '[]',
  '7',
  '"x"',
  '{}',
  '\0',
  '\xff\xfe',
  '{"storeId":"a"}',
  '{"batch":[]}',
  '{"storeId":"","batch":[]}',
  '{"storeId":null,"batch":[]}',
  '{"storeId":["a"],"batch":[]}',
  '{"storeId":"a","batch":{}}',
  '{"storeId":"a","batch":null}',
  '{"storeId":"a","batch":[null]}',
  '{"storeId":"a","batch":[[]]}',
  '{"storeId":"a","batch":[{}]}',
  `{"storeId":"a","storeId":"b","batch":[${whole}]}`,
  `{"storeId":"a","batch":[${whole}]} x`,
  `{"storeId":"a","batch":[${whole},]}`,
  `{"storeId":"\\ud800","batch":[${whole}]}`,
  `{"storeId":"a","batch":[${whole},${whole}]}`,
  `{"storeId":"a","batch":[${eventText({ seq: 0, parent: 0 })}]}`,
  `{"storeId":"a","batch":[${eventText({ seq: 1, parent: 1 })}]}`,
  `{"storeId":"a","batch":[${eventText({ seq: 1, parent: 2 })}]}`,
  `{"storeId":"a","batch":[${eventText({ seq: -1, parent: -2 })}]}`,
  `{"storeId":"a","batch":[${eventText({ seq: 1.5, parent: 0 })}]}`,
  `{"storeId":"a","batch":[${eventText({ seq: '9007199254740992', parent: 0 })}]}`,
  `{"storeId":"a","batch":[${eventText({ seq: 1, name: '' })}]}`,
  `{"storeId":"a","batch":[${eventText({ seq: 1, args: '{"a":1,"a":2}' })}]}`,
  `{"storeId":"a","batch":[${eventText({ seq: 1, args: 'undefined' })}]}`,
  `{"storeId":"a","batch":[${whole.replace('"seqNum":1', '"seqNum":"1"')}]}`,
]

s2Test('a push that breaks a rule is refused with 400 and says which', async () => {
  for (const body of HOSTILE_BODIES) {
    const answer = await pushText(server, '/s2', Buffer.from(body, 'latin1'))
    assert.equal(answer.status, 400, body)
    assert.match(answer.error, /^(MALFORMED|INVALID)$/)
  }
  const deep = await pushText(server, '/s2', '['.repeat(1e6))
  assert.ok([400, 413].includes(deep.status))
  const name = await push(server, '/s2', newStore('s2'), [eventText({ seq: 1, name: 'n'.repeat(513) })])
  assert.equal(name.status, 413)
  assert.equal((await EventStream.all(server, s2Args('a'))).records.length, 0)
})

const HOSTILE_ARGS = [
  '',
  'null',
  '[]',
  '7',
  '{',
  '{}',
  '{"storeId":"a"}',
  '{"storeId":"a","s2SeqNum":0}',
  '{"storeId":"a","live":true}',
  '{"storeId":"","s2SeqNum":0,"live":true}',
  '{"storeId":7,"s2SeqNum":0,"live":true}',
  '{"storeId":"\\udc00","s2SeqNum":0,"live":true}',
  '{"storeId":"a","storeId":"b","s2SeqNum":0,"live":true}',
  '{"storeId":"a","s2SeqNum":"0","live":true}',
  '{"storeId":"a","s2SeqNum":-1,"live":true}',
  '{"storeId":"a","s2SeqNum":0.5,"live":true}',
  '{"storeId":"a","s2SeqNum":1e3,"live":true}',
  '{"storeId":"a","s2SeqNum":9007199254740992,"live":true}',
  '{"storeId":"a","s2SeqNum":null,"live":true}',
  '{"storeId":"a","s2SeqNum":"from-start","live":"true"}',
  `{"storeId":"${'a'.repeat(513)}","s2SeqNum":0,"live":true}`,
  `{"storeId":"a","s2SeqNum":0,"live":true,"payload":${'['.repeat(200)}${']'.repeat(200)}}`,
]

s2Test('a pull that cannot be understood ends with an error event', async () => {
  const targets = HOSTILE_ARGS.map((args) => argsTarget('/s2', args))
  for (const target of ['/s2', '/s2?', '/s2?args', '/s2?Args=%7B%7D', '/s2?args=%', '/s2?args=%zz', '/s2?args=%00%ff', ...targets]) {
    const response = await ask(server, 'GET', target)
    assert.ok([400, 413].includes(response.status), `${response.status} for ${target}`)
    assert.equal(response.headers['content-type'], 'text/event-stream')
    assert.match(response.text, /^event: error\ndata: ".+"\n\n$/)
  }
})

s2Test('a pull has no body, so that none is kept while it streams', async () => {
  const target = argsTarget('/s2', s2Args('a', { live: true }))
  const response = await ask(server, 'GET', target, { body: 'x'.repeat(100_000) })
  assert.equal(response.status, 413)
})

s2Test('other methods are not allowed', async () => {
  for (const method of ['PUT', 'DELETE', 'PATCH']) {
    const response = await ask(server, method, '/s2')
    assert.equal(response.status, 405)
    assert.equal(response.headers.allow, 'GET, POST, HEAD, OPTIONS')
  }
})

s2Test('a browser may ask from another origin', async () => {
  const response = await ask(server, 'OPTIONS', '/s2', {
    headers: {
      origin: 'http://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,traceparent',
    },
  })
  assert.equal(response.status, 204)
  assert.match(response.headers['access-control-allow-methods'], /\bPOST\b/)
  assert.equal(response.headers['access-control-allow-headers'], 'content-type,traceparent')
})

s2Test('a client that leaves in the middle of a push disturbs nobody', async () => {
  const storeId = newStore('s2')
  const body = pushBody(storeId, chain(0, 500))
  for (const bytes of [1, body.length >> 1, body.length]) {
    const wire = await Wire.connect({ port: server.port })
    const request = buildRequest('POST', '/s2', { body })
    await new Promise((resolve) => wire.socket.write(request.subarray(0, request.length - body.length + bytes), resolve))
    wire.destroy()
  }
  const stream = await EventStream.open(server, s2Args(storeId, { live: true }))
  await push(server, '/s2', storeId, chain(0, 500)) // it may have been stored, then it is a retransmission
  await stream.untilRecords(500)
  stream.close()
})

// ---- starts and ends ----

test('positions, times and cursors outlive a restart', async () => {
  const data = temporaryDirectory()
  let before
  await withServer(
    quiet,
    async (own) => {
      await fill(own, '/s2', 'kept', chain(0, 30))
      await push(own, '/s2', 'kept', [eventText({ seq: 1000, parent: 30 })])
      before = (await EventStream.all(own, s2Args('kept'))).records
    },
    { data },
  )
  await withServer(
    quiet,
    async (own) => {
      assert.deepEqual((await EventStream.all(own, s2Args('kept'))).records, before)
      const live = await EventStream.open(own, s2Args('kept', { after: 29, live: true }))
      await push(own, '/s2', 'kept', [eventText({ seq: 1001, parent: 1000 })])
      await live.untilRecords(2)
      assert.deepEqual(live.positions, [30, 31])
      live.close()
      const past = await EventStream.all(own, s2Args('kept', { after: 32 }))
      assert.equal(past.head.status, 409)
    },
    { data },
  )
})

test('a server that ends ends its live streams well, so that their clients ask again', async () => {
  const own = await startServer(quiet)
  await fill(own, '/s2', 'drained', chain(0, 3))
  const streams = []
  for (let i = 0; i < 5; i++) {
    streams.push(await EventStream.open(own, s2Args('drained', { live: true })))
    await streams[i].untilRecords(3)
  }
  await own.stop()
  for (const stream of streams) {
    await stream.untilEnd()
    assert.ok(!stream.done && stream.errors.length === 0)
    await stream.wire.untilClosed()
    assert.equal(stream.wire.error, null)
  }
})

test('a live pull that comes while the server ends is not begun', async () => {
  const own = await startServer({ ...quiet, 'drain-timeout': '60s' })
  const request = buildRequest('GET', argsTarget('/s2', s2Args('late', { live: true })))
  const wire = await Wire.connect({ port: own.port })
  wire.write(request.subarray(0, 10))
  await ask(own, 'HEAD', '/s2') // what was sent before has been read
  const idle = await Wire.connect({ port: own.port })
  const stopped = own.stop()
  await idle.untilClosed('the drain begins')
  const stream = new EventStream(wire)
  wire.write(request.subarray(10))
  await stream.untilEnd()
  assert.equal(stream.head.status, 200)
  assert.equal(stream.head.headers.connection, 'close')
  assert.deepEqual(stream.events, [])
  await stopped
})

test('a catch-up under way is finished before the server ends', async () => {
  const own = await startServer(quiet)
  await pushBig(own, 'long', 0, 20)
  const stream = await EventStream.open(own, s2Args('long'))
  stream.wire.socket.pause()
  const idle = await Wire.connect({ port: own.port })
  const stopped = own.stop()
  await idle.untilClosed('the drain begins')
  stream.wire.socket.resume()
  await stream.untilEnd()
  assert.equal(stream.records.length, 20)
  assert.ok(stream.done)
  await stopped
})

test('the endpoint has the path it is given, or none', async () => {
  await withServer({ ...quiet, 's2-path': '/my/s2', 'sync-cf': 'off' }, async (own) => {
    assert.equal((await pushText(own, '/my/s2', pushBody('moved', chain(0, 2)))).status, 200)
    assert.deepEqual((await EventStream.all(own, s2Args('moved'), { path: '/my/s2' })).seqs, [1, 2])
    for (const path of ['/s2', '/my/s2/', '/my', '/MY/S2']) {
      assert.equal((await ask(own, 'HEAD', path)).status, 404, path)
    }
  })
  await withServer({ ...quiet, 's2-path': 'off' }, async (own) => {
    assert.equal((await ask(own, 'HEAD', '/s2')).status, 404)
    assert.equal((await ask(own, 'GET', argsTarget('/s2', s2Args('a')))).status, 404)
    assert.equal((await ask(own, 'POST', '/s2', { body: pushBody('a', chain(0, 1)) })).status, 404)
    assert.ok((await pushOverHttp(own, 'a', chain(0, 1))).exit.ok)
  })
})

test('the server ends well after all of this', async () => {
  bystander.close()
  await server.stop()
})
