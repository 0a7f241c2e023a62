// Stores: they do not mix, they come to be with their first event, and they outlive the server.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { startServer, temporaryDirectory } from './lib/server.mjs'
import { SyncSocket, chain, eventText, newStore, pullOverHttp, pushOverHttp } from './lib/sync.mjs'

const data = temporaryDirectory()
let server = await startServer({ 'log-level': 'error' }, { data })
const restart = async (how = 'stop') => {
  await server[how]()
  server = await startServer({ 'log-level': 'error' }, { data })
}
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const pull = async (storeId, options) => (await pullOverHttp(server, storeId, options)).chunks

test('stores whose names look alike are different stores', async () => {
  const names = ['a', 'A', 'a ', ' a', 'a\0', 'a\0b', 'a.b', 'a_b', 'a-b', 'a%62', 'a+b', 'a/b', '../a']
  names.push('\u00e9', 'e\u0301', 'é'.repeat(2), '1', '01', '1.0', 'null', "a'b", 'a"b', 'a;b', '漢', '😀')
  for (const [i, storeId] of names.entries()) {
    assert.deepEqual((await pull(storeId)).seqs, [], storeId)
    const events = chain(0, i + 1, { args: JSON.stringify(storeId) })
    assert.ok((await pushOverHttp(server, storeId, events)).exit.ok)
  }
  await restart()
  const backendIds = new Set()
  for (const [i, storeId] of names.entries()) {
    const chunks = await pull(storeId)
    assert.deepEqual(chunks.seqs, range(1, i + 1))
    assert.ok(chunks.events.every(({ args }) => args === storeId))
    backendIds.add(chunks.backendId)
  }
  assert.equal(backendIds.size, names.length, 'each has a backend id of its own')
})

test('a live pull hears its own store alone', async () => {
  const stores = ['x', 'y', 'z'].map((name) => newStore(name))
  const sockets = await Promise.all(stores.map((storeId) => SyncSocket.open(server, storeId)))
  const pulls = sockets.map((socket) => socket.pull())
  for (let seq = 1; seq <= 20; seq++) {
    const pushes = sockets.map((socket, i) => socket.push([eventText({ seq, args: `${i}` })]))
    await Promise.all(pushes.map((push) => push.done()))
  }
  pulls.forEach((pulled, i) => {
    assert.deepEqual(pulled.seqs, range(1, 20))
    assert.ok(pulled.events.every(({ args }) => args === i))
  })
  sockets.forEach((socket) => socket.close())
})

test("one store's cursor is no cursor of another", async () => {
  const [one, other] = [newStore('cursor'), newStore('cursor')]
  for (const storeId of [one, other]) {
    assert.ok((await pushOverHttp(server, storeId, chain(0, 3))).exit.ok)
  }
  const { backendId } = await pull(one)
  const { exit } = await pullOverHttp(server, other, { cursor: { backendId, seq: 2 } })
  assert.equal(exit.error._tag, 'BackendIdMismatchError')
  assert.equal(exit.error.received, backendId)
})

// ---- stores that are asked for before they are ----

// Whether a text is anywhere in the data directory.
const isOnDisk = (text) =>
  fs.readdirSync(data).some((file) => fs.readFileSync(path.join(data, file)).includes(text))

test('a pull of a store without events leaves nothing behind', async () => {
  const storeId = 'never-pushed-to-7f3a9c'
  const socket = await SyncSocket.open(server, storeId)
  const live = socket.pull()
  await live.until(() => live.caughtUp)
  const first = await pull(storeId)
  assert.deepEqual(first.seqs, [])
  assert.ok((await socket.push([]).done()).ok)
  const stale = await socket.push([eventText({ seq: 9, parent: 8 })]).done()
  assert.equal(stale.error.minimumExpectedNum, 0)
  const wrong = await socket.push([eventText({ seq: 1 })], { backendId: 'another' }).done()
  assert.equal(wrong.error._tag, 'BackendIdMismatchError')
  assert.equal(wrong.error.expected, first.backendId)
  const broken = await socket.push([eventText({ seq: 1, name: '' })]).done()
  assert.equal(broken.ok, false)
  socket.close()
  await server.stop()
  assert.ok(!isOnDisk(storeId), 'no trace of the store')
  server = await startServer({ 'log-level': 'error' }, { data })

  assert.equal((await pull(storeId)).backendId, first.backendId, 'the same after a restart')
  assert.ok((await pushOverHttp(server, storeId, [eventText({ seq: 1 })], first)).exit.ok)
  assert.equal((await pull(storeId)).backendId, first.backendId, 'and when it has come to be')
  await server.stop()
  assert.ok(isOnDisk(storeId), 'now it is there: this search finds what is')
  server = await startServer({ 'log-level': 'error' }, { data })
  assert.equal((await pull(storeId)).backendId, first.backendId)
  const { chunks } = await pullOverHttp(server, storeId, { cursor: { backendId: first.backendId, seq: 0 } })
  assert.deepEqual(chunks.seqs, [1])
})

test('a cursor of an empty log is good before and after its first event', async () => {
  const storeId = newStore('zero')
  const { backendId } = await pull(storeId)
  const cursor = { backendId, seq: 0 }
  const socket = await SyncSocket.open(server, storeId)
  const live = socket.pull({ cursor })
  await live.until(() => live.caughtUp)
  assert.ok((await socket.push([eventText({ seq: 1 })], { backendId }).done()).ok)
  assert.deepEqual(live.seqs, [1])
  assert.deepEqual((await pull(storeId, { cursor })).seqs, [1])
  socket.close()
})

test('many stores that are only pulled do not add up', async () => {
  const socket = await SyncSocket.open(server, 'witness')
  const before = fs.readdirSync(data).map((file) => fs.statSync(path.join(data, file)).size)
  for (let i = 0; i < 300; i++) {
    await pull(`visited-${i}`)
  }
  await socket.ping()
  const after = fs.readdirSync(data).map((file) => fs.statSync(path.join(data, file)).size)
  assert.deepEqual(after, before)
  socket.close()
})

// ---- restarts ----

test('a log goes on after a restart where it was', async () => {
  const storeId = newStore('restart')
  assert.ok((await pushOverHttp(server, storeId, chain(0, 10))).exit.ok)
  const before = await pull(storeId)
  for (const how of ['stop', 'kill']) {
    await restart(how)
    const chunks = await pull(storeId)
    assert.equal(chunks.backendId, before.backendId)
    assert.deepEqual(chunks.events.slice(0, 10), before.events)
    const { last } = chunks
    const { exit: repeated } = await pushOverHttp(server, storeId, chain(0, 10), before)
    assert.ok(repeated.ok, 'it is known what is stored')
    const { exit: stale } = await pushOverHttp(server, storeId, [
      eventText({ seq: 3, parent: 2, client: 'x' }),
    ])
    assert.deepEqual(stale.error, { _tag: 'ServerAheadError', minimumExpectedNum: last, providedNum: 2 })
    assert.ok((await pushOverHttp(server, storeId, chain(last, 5), before)).exit.ok)
    assert.deepEqual((await pull(storeId)).seqs, range(1, last + 5))
  }
})

test('what was acknowledged before a kill is there after it, once', async () => {
  const storeId = newStore('killed')
  const socket = await SyncSocket.open(server, storeId)
  const pushes = range(1, 300).map((seq) => socket.push([eventText({ seq })]))
  await pushes[40].done()
  await server.kill()
  await socket.untilClosed()
  const acknowledged = pushes.filter(({ exit }) => exit?.ok).length
  server = await startServer({ 'log-level': 'error' }, { data })
  const { seqs } = await pull(storeId)
  assert.ok(seqs.length >= acknowledged, `${seqs.length} stored, ${acknowledged} acknowledged`)
  assert.deepEqual(seqs, range(1, seqs.length))
  const { exit } = await pushOverHttp(server, storeId, chain(0, 300))
  assert.ok(exit.ok, 'and what was not heals when it is sent again')
  assert.deepEqual((await pull(storeId)).seqs, range(1, 300))
})

test('a log in memory is another one after a restart', async () => {
  const ids = []
  for (let i = 0; i < 2; i++) {
    const own = await startServer({ 'log-level': 'error' })
    ids.push((await pullOverHttp(own, 'memory')).chunks.backendId)
    await own.stop()
  }
  assert.notEqual(ids[0], ids[1])
})

// ---- the directory ----

test('a second server on the same directory refuses, and names the first', async () => {
  const second = await startServer({}, { data, mayFail: true })
  assert.equal(second.port, undefined)
  assert.notEqual(second.code, 0)
  assert.match(second.stderr, new RegExp(`\\b${server.pid}\\b`))
  assert.ok(second.stderr.includes(data), second.stderr)
  second.assertCalm()
  assert.ok((await pushOverHttp(server, newStore('first'), [eventText({ seq: 1 })])).exit.ok)
})

test('a directory that cannot be is refused with its name', async () => {
  const file = path.join(temporaryDirectory(), 'a-file')
  fs.writeFileSync(file, 'hello')
  for (const wrong of [file, path.join(file, 'below')]) {
    const own = await startServer({}, { data: wrong, mayFail: true })
    assert.equal(own.port, undefined)
    assert.notEqual(own.code, 0)
    assert.ok(own.stderr.includes('a-file'), own.stderr)
    own.assertCalm()
  }
  assert.equal(fs.readFileSync(file, 'utf8'), 'hello')
})

test('a directory is made when it is missing, with its parents', async () => {
  const deep = path.join(temporaryDirectory(), 'not', 'yet', 'there')
  const own = await startServer({ 'log-level': 'error' }, { data: deep, mayFail: true })
  assert.ok(own.port, own.stderr)
  assert.ok((await pushOverHttp(own, 's', [eventText({ seq: 1 })])).exit.ok)
  await own.stop()
  assert.ok(fs.readdirSync(deep).length > 0)
})

// Nobody should do that. But a pull must not read the same page for ever, looking for events that were known once.
test('a log that loses events under the server is noticed: pulls end, and come again to what is left', async () => {
  const storeId = newStore('shortened')
  assert.ok((await pushOverHttp(server, storeId, chain(0, 5))).exit.ok)
  const before = await SyncSocket.open(server, storeId)
  const live = before.pull()
  await live.until(() => live.caughtUp, 'the catch-up')
  const sql =
    `DELETE FROM event WHERE seq_num > 2 AND store = (SELECT id FROM store WHERE store_id = '${storeId}');` +
    `UPDATE store SET head = 2, event_count = 2 WHERE store_id = '${storeId}'`
  execFileSync('sqlite3', [path.join(data, 'sluice.db'), sql])
  const after = await SyncSocket.open(server, storeId)
  after.pull()
  assert.equal((await after.untilClosed()).code, 1013)
  assert.equal((await before.untilClosed()).code, 1013) // its own pull is past the head now
  const again = await SyncSocket.open(server, storeId)
  const second = again.pull()
  await second.until(() => second.caughtUp, 'the catch-up')
  assert.ok((await again.push([eventText({ seq: 3, client: 'another' })]).done()).ok)
  await second.untilEvent(3)
  assert.deepEqual(second.seqs, [1, 2, 3])
  again.close()
})

test('the server ends well after all of this', () => server.stop())
