// `sluice bench`: the load generator, against a real server. What it counts must be what the server has.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { sluiceBinary, startServer } from '../lib/server.mjs'
import { pullAll } from '../lib/sync_cf.mjs'

const run = async (port, words, { scheme = 'http' } = {}) => {
  const line = `bench ${scheme}://127.0.0.1:${port} ${words} --json`
  const { stdout } = await promisify(execFile)(sluiceBinary, line.split(' '))
  return JSON.parse(stdout)
}

const start = (t) => startServer(t, { data: ':memory:' })

test('each store has the events that the load generator says it pushed, and they come back', async (t) => {
  const { port } = await start(t)
  const pushed = await run(port, 'push --clients 3 --stores 3 --batch 10 --events 200')
  assert.equal(pushed.pushes, 60)
  const { events } = await pullAll({ port, storeId: 'bench-00002' })
  assert.equal(events.length, 200)
  assert.equal(events.at(-1).seqNum, pushed.head)
  const pulled = await run(port, 'pull --clients 4 --stores 2 --pulls 2')
  assert.equal(pulled.events, 4 * 2 * 200)
  const rest = await run(port, `pull --pulls 3 --cursor ${pushed.head - 7}`)
  assert.equal(rest.events, 3 * 7)
})

test('an event has the number of bytes that was asked for', async (t) => {
  const { port } = await start(t)
  for (const bytes of [250, 5000]) {
    await run(port, `push --store size-${bytes} --events 1 --event-bytes ${bytes}`)
    const { events } = await pullAll({ port, storeId: `size-${bytes}-00000` })
    const [{ metadata, seqNum, parentSeqNum, ...event }] = events
    const places = 2 * 10 + '"seqNum":,"parentSeqNum":,'.length
    assert.equal(JSON.stringify({ ...event, args: JSON.parse(event.args) }).length + places, bytes)
  }
})

test('over HTTP it pushes and pulls the same', async (t) => {
  const { port } = await start(t)
  const pushed = await run(port, 'push --http --clients 2 --stores 2 --batch 5 --events 50')
  assert.equal(pushed.pushes, 20)
  assert.equal((await run(port, 'pull --http --clients 2 --stores 2')).events, 100)
})

test('every push is delivered to every live pull', async (t) => {
  const { port } = await start(t)
  const one = await run(port, 'fanout --clients 20 --seconds 1')
  assert.ok(one.pushes > 0)
  // The measurement begins and ends in the middle of a delivery.
  assert.ok(Math.abs(one.events - one.pushes * 20) <= 2 * 20, `${one.events} events of ${one.pushes} pushes`)
  const many = await run(port, 'fanout --clients 20 --seconds 1 --as-acked --inflight 4 --store many')
  assert.ok(many.events > 0)
})

test('what the server refuses ends the run, with its word', async (t) => {
  const { port } = await start(t)
  await run(port, 'push --events 1')
  const refused = run(port, 'push --events 1 --event-bytes 300')
  await assert.rejects(refused, ({ code, stderr }) => code === 1 && /ServerAheadError/.test(stderr))
  await assert.rejects(run(port, 'push --clients 2'), ({ code, stderr }) => code === 2 && /--stores/.test(stderr))
})
