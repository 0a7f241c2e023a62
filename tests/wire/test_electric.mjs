// The endpoint of @livestore/sync-electric: pages, long polls, offsets and handles, pushes, and everything
// that a client or somebody else may do wrong to it.
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  ElectricPuller,
  argsTarget,
  electricArgs,
  fill,
  pullElectric,
  push,
  pushBody,
  pushText,
  readElectricAnswer,
} from './lib/doors.mjs'
import { HttpClient, ask, buildRequest } from './lib/http.mjs'
import { startServer, temporaryDirectory, withServer } from './lib/server.mjs'
import { Bystander, chain, eventText, newStore, pushOverHttp } from './lib/sync.mjs'
import { Wire, pause } from './lib/wire.mjs'

const MIB = 1024 * 1024
const quiet = { 'log-level': 'error' }
const server = await startServer(quiet)
const bystander = await Bystander.open(server)
const electricTest = (name, body) =>
  test(name, async () => {
    await body()
    await bystander.check()
  })

async function newFilledStore(count, options) {
  const storeId = newStore('electric')
  await fill(server, '/electric', storeId, chain(0, count, options))
  return storeId
}

const seqsOf = ({ events }) => events.map(({ seqNum }) => seqNum)

// A live poll that waits: asked from where the client knows that nothing follows.
async function startWaiting(own, storeId, at) {
  const client = await HttpClient.connect(own)
  client.send('GET', argsTarget('/electric', electricArgs(storeId, { at, live: true })))
  return client
}

const knownEnd = async (own, storeId) => (await pullElectric(own, storeId)).at

// ---- pages ----

electricTest('HEAD is answered without looking at anything', async () => {
  for (const target of ['/electric', '/electric?args=%', argsTarget('/electric', electricArgs('x', { live: true }))]) {
    const response = await ask(server, 'HEAD', target)
    assert.equal(response.status, 200)
    assert.equal(response.body.length, 0)
  }
})

electricTest('a page is what Electric sends, to the byte', async () => {
  const storeId = newStore('electric')
  const args = '{ "b" : "a\\u000ab", "n":1.0 ,\n "a":9007199254740993}'
  await push(server, '/electric', storeId, [eventText({ seq: 3, parent: 0, name: 'v1."é', args })])
  const response = await ask(server, 'GET', argsTarget('/electric', electricArgs(storeId)))
  assert.equal(response.status, 200)
  assert.equal(
    response.text,
    String.raw`[{"key":"\"public\".\"events\"/\"3\"","value":{"seqNum":"3","parentSeqNum":"0","name":"v1.\"é","args":` +
      JSON.stringify(args) +
      `,"clientId":"c1","sessionId":"s1"},"headers":{"operation":"insert","relation":["public","events"]}},` +
      `{"headers":{"control":"up-to-date"}}]`,
  )
  assert.equal(response.headers['electric-offset'], '3_1')
  assert.equal(response.headers['content-type'], 'application/json')
  assert.equal(response.headers['cache-control'], 'no-store')
  assert.equal(response.headers['access-control-expose-headers'], 'electric-handle, electric-offset')
})

electricTest('an empty store is up to date, and has its handle already', async () => {
  const storeId = newStore('electric')
  const empty = await pullElectric(server, storeId)
  assert.deepEqual([empty.status, empty.events, empty.upToDate, empty.at.offset], [200, [], true, '0_1'])
  await push(server, '/electric', storeId, chain(0, 2))
  const next = await pullElectric(server, storeId, { at: empty.at })
  assert.deepEqual(seqsOf(next), [1, 2])
  assert.equal(next.at.handle, empty.at.handle)
})

electricTest('pages of 1000 follow each other to the end, which only the last one says', async () => {
  const storeId = await newFilledStore(2500)
  const pages = []
  let at = null
  do {
    const page = await pullElectric(server, storeId, { at })
    pages.push([page.events.length, page.events[0]?.seqNum, page.upToDate, page.at.offset])
    at = page.at
  } while (pages.at(-1)[0] > 0)
  assert.deepEqual(pages, [
    [1000, 1, false, '1000_1'],
    [1000, 1001, false, '2000_1'],
    [500, 2001, true, '2500_1'],
    [0, undefined, true, '2500_1'],
  ])
})

electricTest('arguments are understood encoded once and twice', async () => {
  const storeId = newStore('electric +%25&=#"\\é\u{1f600}')
  await push(server, '/electric', storeId, chain(0, 2))
  for (const times of [1, 2]) {
    assert.deepEqual(seqsOf(await pullElectric(server, storeId, { times })), [1, 2])
  }
})

electricTest('a log of another handle is gone, and so is an offset that this log never had', async () => {
  const storeId = newStore('electric')
  await push(server, '/electric', storeId, [eventText({ seq: 1 }), eventText({ seq: 10, parent: 1 })])
  const { at } = await pullElectric(server, storeId)
  const other = (await pullElectric(server, newStore('electric'))).at
  for (const wrong of [
    { handle: 'another', offset: '1_0' },
    { handle: '', offset: '0_0' },
    { handle: other.handle, offset: '-1' },
    { handle: at.handle, offset: '11_0' },
    { handle: at.handle, offset: '9007199254740991_1' },
    { handle: at.handle, offset: '5_0' },
  ]) {
    for (const live of [false, true]) {
      const answer = await pullElectric(server, storeId, { at: wrong, live })
      assert.equal(answer.status, 410, JSON.stringify(wrong))
      assert.match(answer.error, /^(BACKEND_ID_MISMATCH|CURSOR_AHEAD)$/)
    }
  }
  for (const offset of ['-1', '0_0', '0_1']) {
    assert.deepEqual(seqsOf(await pullElectric(server, storeId, { at: { ...at, offset } })), [1, 10])
  }
})

// ---- live ----

electricTest('a live client is told the end at once, first, and then waits for the next event', async () => {
  const storeId = newStore('electric')
  const puller = await ElectricPuller.open(server, storeId)
  const first = await puller.poll() // no handle yet: the app may be waiting for it to start
  assert.deepEqual([first.status, first.upToDate, first.at.offset], [200, true, '0_1'])
  for (let seq = 1; seq <= 10; seq++) {
    const waiting = puller.poll()
    await push(server, '/electric', storeId, chain(seq - 1, 1))
    const page = await waiting
    assert.deepEqual([page.status, seqsOf(page), page.at.offset], [200, [seq], `${seq}_0`])
    // The client takes a page with events for one of several and holds its own events back until the last.
    const end = await puller.poll()
    assert.deepEqual([end.status, end.events, end.upToDate, end.at.offset], [200, [], true, `${seq}_1`])
  }
  puller.close()
})

electricTest('a poll that is behind is answered at once', async () => {
  const storeId = await newFilledStore(3)
  for (const offset of ['1_0', '1_1']) {
    const { at } = await pullElectric(server, storeId)
    const page = await pullElectric(server, storeId, { at: { ...at, offset }, live: true })
    assert.deepEqual([seqsOf(page), page.at.offset], [[2, 3], '3_0'])
  }
})

electricTest('a commit wakes every poll that waits', async () => {
  const storeId = await newFilledStore(1)
  const at = await knownEnd(server, storeId)
  const waiting = []
  for (let i = 0; i < 100; i++) {
    waiting.push(await startWaiting(server, storeId, at))
  }
  const batch = chain(1, 3)
  await push(server, '/electric', storeId, batch)
  for (const client of waiting) {
    const page = readElectricAnswer(await client.response())
    assert.deepEqual([seqsOf(page), page.upToDate, page.at.offset], [[2, 3, 4], true, '4_0'])
    client.close()
  }
})

electricTest('a client that polls on gets every event of a busy store, once and in order', async () => {
  const storeId = newStore('electric')
  const pullers = await Promise.all(Array.from({ length: 5 }, () => ElectricPuller.open(server, storeId)))
  const all = pullers.map((puller) => puller.untilEvent(300))
  for (let head = 0; head < 300; head += 3) {
    assert.equal((await push(server, '/electric', storeId, chain(head, 3))).status, 200)
  }
  await Promise.all(all)
  for (const puller of pullers) {
    assert.equal(puller.events.length, 300)
    puller.close()
  }
})

test('a poll for which nothing comes ends with 204, after its time and not before', async () => {
  await withServer({ ...quiet, 'long-poll-timeout': '200ms' }, async (own) => {
    for (const count of [0, 2]) {
      const storeId = newStore('electric')
      await fill(own, '/electric', storeId, chain(0, count))
      const at = await knownEnd(own, storeId)
      const client = await HttpClient.connect(own)
      for (let i = 0; i < 3; i++) {
        const started = performance.now()
        const answer = await pullElectric(own, storeId, { at, live: true, client })
        assert.ok(performance.now() - started > 190)
        assert.equal(answer.status, 204)
        assert.deepEqual(answer.at, at)
      }
      client.close()
    }
  })
})

electricTest('what waits behind a poll on its connection is answered after it', async () => {
  const storeId = await newFilledStore(1)
  const at = await knownEnd(server, storeId)
  const client = await startWaiting(server, storeId, at)
  client.send('HEAD', '/electric')
  client.send('GET', argsTarget('/electric', electricArgs(storeId)))
  await push(server, '/electric', storeId, chain(1, 1))
  assert.deepEqual(seqsOf(readElectricAnswer(await client.response())), [2])
  assert.equal((await client.response({ method: 'HEAD' })).status, 200)
  assert.deepEqual(seqsOf(readElectricAnswer(await client.response())), [1, 2])
  client.close()
})

electricTest('HTTP/1.0 can poll', async () => {
  const storeId = await newFilledStore(1)
  const at = await knownEnd(server, storeId)
  const client = await HttpClient.connect(server)
  const target = argsTarget('/electric', electricArgs(storeId, { at, live: true }))
  client.send('GET', target, { version: '1.0' })
  await push(server, '/electric', storeId, chain(1, 1))
  assert.deepEqual(seqsOf(readElectricAnswer(await client.response())), [2])
  await client.wire.untilClosed()
})

test('the places of clients that went away are free when their poll would have ended', async () => {
  const flags = { ...quiet, 'long-poll-timeout': '100ms', 'connections-max': 12 }
  await withServer(flags, async (own) => {
    const at = await knownEnd(own, 'gone')
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 11; i++) {
        const client = await startWaiting(own, 'gone', at)
        await pause(1)
        client.close()
      }
      while ((await ask(own, 'HEAD', '/electric').catch(() => null))?.status !== 200) {
        await pause(20)
      }
    }
  })
})

// ---- pushes ----

electricTest('a push is acknowledged, and again when it comes again', async () => {
  const storeId = newStore('electric')
  assert.deepEqual(await push(server, '/electric', storeId, chain(0, 3)), { status: 200, success: true })
  assert.equal((await push(server, '/electric', storeId, chain(0, 3))).status, 200)
  assert.equal((await push(server, '/electric', storeId, chain(1, 5))).status, 200)
  assert.deepEqual(seqsOf(await pullElectric(server, storeId)), [1, 2, 3, 4, 5, 6])
})

electricTest('a stale push is a conflict that says what is expected', async () => {
  const storeId = await newFilledStore(5)
  for (const events of [chain(3, 2, { client: 'c2' }), chain(0, 1, { args: '1' }), chain(7, 1)]) {
    const answer = await push(server, '/electric', storeId, events)
    assert.deepEqual([answer.status, answer.error, answer.minimumExpectedNum], [409, 'SERVER_AHEAD', 5])
  }
})

electricTest('an invalid push is refused with 400, a large one with 413', async () => {
  const whole = eventText({ seq: 1 })
  for (const body of ['', '{', '[]', '{"_tag":"@livestore/sync-electric.Push"}', `{"batch":[${whole}]}`]) {
    assert.equal((await pushText(server, '/electric', body)).status, 400, body)
  }
  const storeId = newStore('electric')
  assert.equal((await push(server, '/electric', storeId, [eventText({ seq: 0, parent: 0 })])).status, 400)
  assert.equal((await push(server, '/electric', storeId, [whole, whole])).status, 400)
  assert.equal((await push(server, '/electric', storeId, chain(0, 1001))).status, 413)
  const large = [eventText({ seq: 1, args: JSON.stringify('x'.repeat(MIB)) })]
  assert.equal((await push(server, '/electric', storeId, large)).status, 413)
  assert.deepEqual((await pullElectric(server, storeId)).events, [])
})

// ---- hostile pulls ----

const NONE = '{"_tag":"None"}'
const some = (value) => `{"_tag":"Some","value":${value}}`
const argsText = (handle, storeId = '"a"', live = 'true') =>
  `{"_tag":"@livestore/sync-electric.Pull","storeId":${storeId},"handle":${handle},"live":${live}}`
const HOSTILE_ARGS = [
  '',
  'null',
  '[]',
  '{',
  '{}',
  '{"storeId":"a"}',
  '{"live":true}',
  argsText(NONE, '""'),
  argsText(NONE, '7'),
  argsText(NONE, '"\\ud800"'),
  argsText(NONE, '"a"', '1'),
  argsText(NONE, '"a","storeId":"b"'),
  argsText(NONE, JSON.stringify('a'.repeat(513))),
  argsText('null'),
  argsText('"1_0"'),
  argsText('{"_tag":"Some"}'),
  argsText(some('{}')),
  argsText(some('{"offset":"1_0"}')),
  argsText(some('{"handle":"x"}')),
  argsText(some('{"offset":1,"handle":"x"}')),
  argsText(some('{"offset":"1_0","handle":null}')),
  argsText(some('{"offset":"1_2","handle":"x"}')),
  argsText(some('{"offset":"-2","handle":"x"}')),
  argsText(some('{"offset":"","handle":"x"}')),
  argsText(some('{"offset":"9007199254740992_0","handle":"x"}')),
  argsText(some(JSON.stringify({ offset: '1_0', handle: 'x'.repeat(65) }))),
  argsText(some(JSON.stringify({ offset: '1'.repeat(5000), handle: 'x' }))),
]

electricTest('a pull that cannot be understood is refused, with no status that means something else', async () => {
  const targets = HOSTILE_ARGS.map((args) => argsTarget('/electric', args))
  for (const target of ['/electric', '/electric?args', '/electric?args=%', '/electric?args=%00%ff', ...targets]) {
    const answer = readElectricAnswer(await ask(server, 'GET', target))
    assert.ok([413, 422].includes(answer.status), `${answer.status} for ${target}`)
    assert.ok(answer.message.length > 0)
  }
})

electricTest('a pull has no body, and other methods are not allowed', async () => {
  const target = argsTarget('/electric', electricArgs('a', { live: true }))
  assert.equal((await ask(server, 'GET', target, { body: 'x'.repeat(100_000) })).status, 413)
  assert.equal((await ask(server, 'DELETE', target)).status, 405)
  assert.equal((await ask(server, 'OPTIONS', target)).status, 204)
})

// ---- starts and ends ----

test('offsets and handles outlive a restart', async () => {
  const data = temporaryDirectory()
  let at
  let empty
  await withServer(
    quiet,
    async (own) => {
      await fill(own, '/electric', 'kept', chain(0, 5))
      at = (await pullElectric(own, 'kept', { live: true })).at
      empty = await knownEnd(own, 'empty')
    },
    { data },
  )
  await withServer(
    quiet,
    async (own) => {
      assert.equal(at.offset, '5_0')
      const end = await pullElectric(own, 'kept', { at, live: true })
      assert.deepEqual([end.status, end.at], [200, { ...at, offset: '5_1' }])
      const waiting = await startWaiting(own, 'kept', end.at)
      await push(own, '/electric', 'kept', chain(5, 1))
      assert.deepEqual(seqsOf(readElectricAnswer(await waiting.response())), [6])
      waiting.close()
      await push(own, '/electric', 'empty', chain(0, 1))
      assert.deepEqual(seqsOf(await pullElectric(own, 'empty', { at: empty, live: true })), [1])
    },
    { data },
  )
})

test('a server that ends answers its polls, so that their clients ask again', async () => {
  const own = await startServer(quiet)
  await fill(own, '/electric', 'drained', chain(0, 3))
  const at = await knownEnd(own, 'drained')
  const waiting = []
  for (let i = 0; i < 10; i++) {
    waiting.push(await startWaiting(own, 'drained', at))
  }
  await ask(own, 'HEAD', '/electric') // what was sent before has been read
  await own.stop()
  for (const client of waiting) {
    const answer = readElectricAnswer(await client.response())
    assert.deepEqual([answer.status, answer.at], [204, at])
    await client.wire.untilClosed()
  }
})

test('a poll that comes while the server ends does not wait', async () => {
  const own = await startServer({ ...quiet, 'drain-timeout': '60s' })
  const at = await knownEnd(own, 'late')
  const request = buildRequest('GET', argsTarget('/electric', electricArgs('late', { at, live: true })))
  const client = await HttpClient.connect(own)
  client.wire.write(request.subarray(0, 10))
  await ask(own, 'HEAD', '/electric') // what was sent before has been read
  const idle = await Wire.connect({ port: own.port })
  const stopped = own.stop()
  await idle.untilClosed('the drain begins')
  client.wire.write(request.subarray(10))
  const answer = readElectricAnswer(await client.response())
  assert.deepEqual([answer.status, answer.headers.connection, answer.at], [204, 'close', at])
  await stopped
})

test('the endpoint has the path it is given, or none', async () => {
  await withServer({ ...quiet, 'electric-path': '/my/electric' }, async (own) => {
    assert.equal((await pushText(own, '/my/electric', pushBody('moved', chain(0, 2)))).status, 200)
    assert.deepEqual(seqsOf(await pullElectric(own, 'moved', { path: '/my/electric' })), [1, 2])
    for (const path of ['/electric', '/my/electric/', '/my']) {
      assert.equal((await ask(own, 'HEAD', path)).status, 404, path)
    }
  })
  await withServer({ ...quiet, 'electric-path': 'off' }, async (own) => {
    assert.equal((await ask(own, 'HEAD', '/electric')).status, 404)
    assert.equal((await ask(own, 'GET', argsTarget('/electric', electricArgs('a')))).status, 404)
    assert.equal((await ask(own, 'POST', '/electric', { body: pushBody('a', chain(0, 1)) })).status, 404)
    assert.ok((await pushOverHttp(own, 'a', chain(0, 1))).exit.ok)
  })
})

test('the server ends well after all of this', async () => {
  bystander.close()
  await server.stop()
})
