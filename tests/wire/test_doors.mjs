// One store through all doors at once: sync-cf over WebSocket and HTTP, S2 and Electric.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'node:test'
import { ElectricPuller, EventStream, fill, pullElectric, push, pushBody, s2Args } from './lib/doors.mjs'
import { HttpClient, ask, syncTarget } from './lib/http.mjs'
import { startServer, temporaryDirectory, withServer } from './lib/server.mjs'
import {
  SyncSocket,
  chain,
  eventText,
  newStore,
  pullOverHttp,
  pushOverHttp,
  pushPayload,
  requestText,
} from './lib/sync.mjs'

const quiet = { 'log-level': 'error' }
const server = await startServer(quiet)

const bare = ({ seqNum, parentSeqNum, name, clientId, sessionId }, args) => ({
  seqNum,
  parentSeqNum,
  name,
  clientId,
  sessionId,
  args,
})

// A client of one store at one door: `push(events)` resolves to whether the server took them and what it
// expects, `untilEvent(seq)` to when it has heard of that, `log()` is all that it has.
const doors = {
  async webSocket(own, storeId) {
    const socket = await SyncSocket.open(own, storeId)
    const pull = socket.pull()
    return {
      async push(events) {
        const outcome = await socket.push(events).done()
        return { ok: outcome.ok, expected: outcome.error?.minimumExpectedNum }
      },
      untilEvent: (seq) => pull.untilEvent(seq),
      log: () => pull.events.map((event) => bare(event, event.argsText)),
      close: () => socket.close(),
    }
  },
  async http(own, storeId) {
    let events = []
    return {
      async push(batch) {
        const { exit } = await pushOverHttp(own, storeId, batch)
        return { ok: exit.ok, expected: exit.error?.minimumExpectedNum }
      },
      async untilEvent(seq) {
        while ((events.at(-1)?.seqNum ?? 0) < seq) {
          events = (await pullOverHttp(own, storeId)).chunks.events
        }
      },
      log: () => events.map((event) => bare(event, event.argsText)),
      close() {},
    }
  },
  async s2(own, storeId) {
    const stream = await EventStream.open(own, s2Args(storeId, { live: true }))
    return {
      async push(events) {
        const answer = await push(own, '/s2', storeId, events)
        return { ok: answer.status === 200, expected: answer.minimumExpectedNum }
      },
      untilEvent: (seq) => stream.until(() => stream.seqs.at(-1) >= seq, `event ${seq} over S2`),
      log: () => stream.records.map(({ event }) => bare(event, JSON.stringify(event.args))),
      close: () => stream.close(),
    }
  },
  async electric(own, storeId) {
    const puller = await ElectricPuller.open(own, storeId)
    return {
      async push(events) {
        const answer = await push(own, '/electric', storeId, events)
        return { ok: answer.status === 200, expected: answer.minimumExpectedNum }
      },
      untilEvent: (seq) => puller.untilEvent(seq),
      log: () => puller.events.map((event) => bare(event, event.args)),
      close: () => puller.close(),
    }
  },
}

const names = Object.keys(doors)

async function openAll(own, storeId) {
  const clients = await Promise.all(names.map((name) => doors[name](own, storeId)))
  return Object.fromEntries(names.map((name, i) => [name, clients[i]]))
}

// All have the same log, up to `head`.
async function converge(clients, head) {
  await Promise.all(Object.values(clients).map((client) => client.untilEvent(head)))
  const logs = Object.values(clients).map((client) => client.log())
  for (const [i, log] of logs.entries()) {
    assert.deepEqual(log, logs[0], `${names[i]} has another log`)
    log.forEach((event, at) => assert.equal(event.parentSeqNum, log[at - 1]?.seqNum ?? 0))
  }
  return logs[0]
}

const closeAll = (clients) => Object.values(clients).forEach((client) => client.close())

test('what is pushed through one door is heard live at every other', async () => {
  const storeId = newStore('doors')
  const clients = await openAll(server, storeId)
  let head = 0
  for (let round = 0; round < 5; round++) {
    for (const name of names) {
      const args = JSON.stringify({ from: name, round })
      assert.deepEqual(await clients[name].push(chain(head, 2, { client: name, args })), { ok: true, expected: undefined })
      head += 2
      await Promise.all(Object.values(clients).map((client) => client.untilEvent(head)))
    }
  }
  const log = await converge(clients, head)
  assert.equal(log.length, 40)
  closeAll(clients)
})

test('a push that came through one door is stale, or a retransmission, at every other', async () => {
  const storeId = newStore('doors')
  const clients = await openAll(server, storeId)
  const events = chain(0, 3)
  assert.ok((await clients.s2.push(events)).ok)
  for (const name of names) {
    assert.ok((await clients[name].push(events)).ok, `${name} retransmits`)
    const stale = await clients[name].push(chain(1, 1, { client: name }))
    assert.deepEqual(stale, { ok: false, expected: 3 }, name)
  }
  await converge(clients, 3)
  closeAll(clients)
})

test('clients of all doors that push at once rebase and converge', async () => {
  const storeId = newStore('doors')
  const clients = await openAll(server, storeId)
  const each = 40
  let refusals = 0
  await Promise.all(
    names.map(async (name) => {
      let head = 0
      for (let n = 0; n < each; ) {
        const args = JSON.stringify({ from: name, n })
        const { ok, expected } = await clients[name].push([eventText({ seq: head + 1, client: name, args })])
        refusals += ok ? 0 : 1
        head = ok ? head + 1 : expected
        n += ok ? 1 : 0
      }
    }),
  )
  assert.ok(refusals > 0, 'nobody met anybody')
  const log = await converge(clients, each * names.length)
  for (const name of names) {
    const own = log.filter(({ clientId }) => clientId === name)
    assert.deepEqual(own.map(({ args }) => JSON.parse(args).n), Array.from({ length: each }, (_, n) => n))
  }
  closeAll(clients)
})

test('many stores, each through all doors, keep their events apart', async () => {
  const stores = Array.from({ length: 12 }, () => newStore('doors'))
  await Promise.all(
    stores.map(async (storeId, i) => {
      const clients = await openAll(server, storeId)
      for (let head = 0; head < 20; head++) {
        const name = names[(head + i) % names.length]
        assert.ok((await clients[name].push(chain(head, 1, { args: JSON.stringify(storeId) }))).ok)
      }
      for (const event of await converge(clients, 20)) {
        assert.equal(event.args, JSON.stringify(storeId))
      }
      closeAll(clients)
    }),
  )
})

test('args go in at any door and come out at every other as the bytes they were', async () => {
  const storeId = newStore('doors')
  const args = '{"b" : 1.0,\n"a":9007199254740993, "u":"\\ud800\\u0041é"}'
  for (const [i, path] of ['/s2', '/electric'].entries()) {
    await push(server, path, storeId, [eventText({ seq: i + 1, args })])
  }
  assert.ok((await pushOverHttp(server, storeId, [eventText({ seq: 3, args })])).exit.ok)
  const overHttp = (await pullOverHttp(server, storeId)).chunks.events
  assert.deepEqual(overHttp.map(({ argsText }) => argsText), [args, args, args])
  const overElectric = (await pullElectric(server, storeId)).events
  assert.deepEqual(overElectric.map((event) => event.args), [args, args, args])
  const overS2 = await ask(server, 'GET', `/s2?args=${encodeURIComponent(JSON.stringify(s2Args(storeId)))}`)
  const { records } = JSON.parse(/^data: (.*)$/m.exec(overS2.text)[1])
  records.forEach(({ body }, i) => assert.equal(body, eventText({ seq: i + 1, args })))
})

test('the doors agree on one log after a restart', async () => {
  const data = temporaryDirectory()
  let before
  for (const head of [0, 8]) {
    await withServer(
      quiet,
      async (own) => {
        const clients = await openAll(own, 'kept')
        for (const [i, name] of names.entries()) {
          assert.ok((await clients[name].push(chain(head + 2 * i, 2, { client: name }))).ok)
        }
        const log = await converge(clients, head + 8)
        assert.deepEqual(log.slice(0, head), before ?? [])
        before = log
        closeAll(clients)
      },
      { data },
    )
  }
})

test('each door can be switched off without the others', async () => {
  const flags = { webSocket: 'sync-cf', http: 'sync-cf', s2: 's2-path', electric: 'electric-path' }
  for (const off of ['sync-cf', 's2-path', 'electric-path']) {
    await withServer({ ...quiet, [off]: 'off' }, async (own) => {
      const on = names.filter((name) => flags[name] !== off)
      let head = 0
      for (const name of on) {
        const client = await doors[name](own, 'some')
        assert.ok((await client.push(chain(head++, 1))).ok)
        await client.untilEvent(head)
        client.close()
      }
      if (off === 'sync-cf') {
        await fill(own, '/s2', 'some', chain(head, 1))
        await assert.rejects(SyncSocket.open(own, 'some'))
        assert.equal((await ask(own, 'POST', '/?storeId=some&transport=http', { body: '{}' })).status, 404)
      }
    })
  }
})

// Another program has the database's write lock, so that the first push stays under way and the second waits.
test('a push whose connection was cut before its turn came is passed over, at every HTTP door', async () => {
  for (const [path, request] of Object.entries({
    '/s2': (events) => ['/s2', pushBody('locked', events)],
    '/electric': (events) => ['/electric', pushBody('locked', events, '/electric')],
    'sync-cf': (events) => [syncTarget('locked'), requestText(1, 'SyncHttpRpc.Push', pushPayload('locked', events))],
  })) {
    const data = temporaryDirectory()
    const own = await startServer({ 'drain-timeout': '100ms' }, { data })
    await fill(own, '/s2', 'locked', chain(0, 1))
    const lock = await lockDatabase(data)
    for (const head of [1, 2]) {
      const [target, body] = request(chain(head, 1))
      const client = await HttpClient.connect(own)
      client.send('POST', target, { body })
      await ask(own, 'HEAD', '/s2') // what was sent before has been read
    }
    own.signal('SIGTERM')
    await new Promise((resolve) => own.child.stderr.on('data', () => /were cut/.test(own.stderr) && resolve()))
    lock.release()
    assert.deepEqual(await own.exited, { code: 0, signal: null })
    own.assertCalm()
    await withServer(
      quiet,
      async (again) => assert.deepEqual((await pullOverHttp(again, 'locked')).chunks.seqs, [1, 2], path),
      { data },
    )
  }
})

async function lockDatabase(data) {
  const shell = spawn('sqlite3', [`${data}/sluice.db`], { stdio: ['pipe', 'pipe', 'inherit'] })
  shell.stdin.write("BEGIN IMMEDIATE;\nSELECT 'locked';\n")
  await once(shell.stdout, 'data')
  return { release: () => shell.stdin.end() }
}

test('the log names the store whose pull was refused, at every door', async () => {
  await withServer({}, async (own) => {
    await pullOverHttp(own, 'over sync-cf', { cursor: { backendId: 'another', seq: 1 } })
    await EventStream.all(own, s2Args('over S2', { after: 7 }))
    await pullElectric(own, 'over Electric', { at: { handle: 'another', offset: '1_0' } })
    await own.stop() // what it had to say is there
    assert.match(own.stderr, /refused status=BACKEND_ID_MISMATCH store="over sync-cf" /)
    assert.match(own.stderr, /refused status=CURSOR_AHEAD store="over S2" /)
    assert.match(own.stderr, /refused status=BACKEND_ID_MISMATCH store="over Electric" /)
  })
})

test('the server ends well after all of this', () => server.stop())
