// Copies of a data directory, and of a store, made as docs/storage.md says: to its clients each is the same log.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { EventStream, fill, pullElectric, push, s2Args } from './lib/doors.mjs'
import { startServer, temporaryDirectory, withServer } from './lib/server.mjs'
import { chain, eventText, pullOverHttp, pushOverHttp } from './lib/sync.mjs'

const quiet = { 'log-level': 'error' }
const sqlite = (file, ...commands) => execFileSync('sqlite3', ['-bail', file, ...commands], { encoding: 'utf8' })
const fileIn = (directory) => path.join(directory, 'sluice.db')

// Numbers with gaps, where position and number differ, on both sides of a page's end.
const gapped = [...Array(1200).keys()].map((i) => 3 * i + 5)
const logs = {
  dense: chain(0, 30),
  'gäps/ "x"': gapped.map((seq, i) => eventText({ seq, parent: gapped[i - 1] ?? 0, args: `{"n": ${i}}` })),
  'never pushed to': [],
}
const stores = Object.keys(logs)

// All that clients of a store hold on to.
async function look(server, storeId) {
  const cf = (await pullOverHttp(server, storeId)).chunks
  const pages = []
  for (let at = null; pages.length === 0 || pages.at(-1).events.length > 0; at = pages.at(-1).at) {
    const { events, at: next } = await pullElectric(server, storeId, { at })
    pages.push({ events, at: next })
  }
  const { records } = await EventStream.all(server, s2Args(storeId))
  return { backendId: cf.backendId, seqs: cf.seqs, pages, records }
}

const lookAtAll = (server) => Promise.all(stores.map((storeId) => look(server, storeId)))

// Whoever was in the middle of the log, or at its end, goes on from there.
async function goOn(server, storeId, { backendId, seqs, pages, records }) {
  const count = records.length
  const head = seqs.at(-1) ?? 0
  const middle = count >> 1
  if (count > 0) {
    const stream = await EventStream.all(server, s2Args(storeId, { after: middle }))
    assert.deepEqual(stream.records, records.slice(middle + 1))
    const pulled = await pullOverHttp(server, storeId, { cursor: { backendId, seq: seqs[middle] } })
    assert.deepEqual(pulled.chunks.seqs, seqs.slice(middle + 1))
  }
  const live = await EventStream.open(server, s2Args(storeId, { after: count > 0 ? count - 1 : 'from-start', live: true }))
  const poll = pullElectric(server, storeId, { at: pages.at(-1).at, live: true })
  assert.equal((await push(server, '/s2', storeId, chain(head, 1))).status, 200)
  await live.untilRecords(1)
  live.close()
  assert.deepEqual(live.positions, [count])
  assert.deepEqual((await poll).at, { handle: backendId, offset: `${head + 1}_0` })
  const again = await pushOverHttp(server, storeId, logs[storeId].slice(-3), { backendId })
  assert.ok(again.exit.ok, 'a push whose answer was lost before the copy was made')
}

const original = temporaryDirectory()
const server = await startServer(quiet, { data: original })
for (const storeId of stores) {
  await fill(server, '/electric', storeId, logs[storeId])
}
const before = await lookAtAll(server)

async function assertSame(data) {
  await withServer(
    quiet,
    async (own) => {
      assert.deepEqual(await lookAtAll(own), before)
      await Promise.all(stores.map((storeId, i) => goOn(own, storeId, before[i])))
    },
    { data },
  )
}

test('what the clients hold on to is what it should be', () => {
  for (const [i, storeId] of stores.entries()) {
    const { backendId, pages, records, seqs } = before[i]
    assert.deepEqual(records.map(({ position }) => position), [...logs[storeId].keys()])
    assert.deepEqual(records.map(({ event }) => event.seqNum), seqs)
    assert.deepEqual(pages.at(-1).at, { handle: backendId, offset: `${seqs.at(-1) ?? 0}_1` })
  }
})

test('a backup of a running server is the same log, positions, times, handles and offsets included', async () => {
  for (const command of ['.backup', 'VACUUM INTO']) {
    const data = temporaryDirectory()
    sqlite(fileIn(original), `${command} '${fileIn(data)}'`)
    await assertSame(data)
  }
})

test('a copy of a stopped server is the same log', async () => {
  await server.stop()
  const data = temporaryDirectory()
  fs.copyFileSync(fileIn(original), fileIn(data))
  await assertSame(data)
})

test('a dump that is read back is the same log, once it says whose it is', async () => {
  const data = temporaryDirectory()
  const dump = sqlite(fileIn(original), '.dump')
  execFileSync('sqlite3', ['-bail', fileIn(data)], { input: dump })
  const refused = await startServer(quiet, { data, mayFail: true })
  assert.ok(!refused.port, "without its application id it could be anybody's")
  assert.match(refused.stderr, /application id 0/)
  sqlite(fileIn(data), 'PRAGMA application_id = 1399616873')
  await assertSame(data)
})

test('a store that is copied into another data directory is the same log', async () => {
  const data = temporaryDirectory()
  await withServer(quiet, (own) => fill(own, '/s2', 'was here', chain(0, 7)), { data })
  for (const storeId of stores.slice(0, 2)) {
    sqlite(fileIn(data), copyOf(storeId))
  }
  await withServer(
    quiet,
    async (own) => {
      for (const [i, storeId] of stores.slice(0, 2).entries()) {
        assert.deepEqual(await look(own, storeId), before[i])
        await goOn(own, storeId, before[i])
      }
      assert.deepEqual((await EventStream.all(own, s2Args('was here'))).seqs, [1, 2, 3, 4, 5, 6, 7])
    },
    { data },
  )
  assert.throws(() => sqlite(fileIn(data), copyOf('dense')), /UNIQUE/, 'it has a store of that name')
})

const copyOf = (storeId) => `
  ATTACH '${fileIn(original)}' AS source;
  BEGIN;
  INSERT INTO store (store_id, generation, backend_id, head, event_count, event_bytes)
    SELECT store_id, generation, backend_id, head, event_count, event_bytes
    FROM source.store WHERE store_id = '${storeId}';
  INSERT INTO event SELECT new.id, e.seq_num, e.parent_seq_num, e.position, e.name, e.args, e.client_id,
                           e.session_id, e.created_at
    FROM store AS new JOIN source.store AS old USING (store_id) JOIN source.event AS e ON e.store = old.id
    WHERE store_id = '${storeId}' ORDER BY e.seq_num;
  COMMIT;`
