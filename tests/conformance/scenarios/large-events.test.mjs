import assert from 'node:assert/strict'
import { test } from 'node:test'

import { converge, openClient, openClients, startServer } from '../harness.mjs'

const timeout = 240_000

// Text of about this many bytes in UTF-8, with characters of one to four bytes, and different for each n.
const textOfBytes = (bytes, n) => `${n}: 'ä€🦥" `.repeat(Math.ceil(bytes / Buffer.byteLength(`${n}: 'ä€🦥" `)))

for (const transport of ['ws', 'http', 's2', 'electric']) {
  test(`events of 100 kB go through whole over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t)
    const clients = await openClients(t, ['anna', 'ben'], { server, transport })

    await Promise.all(clients.map((client) => client.createMany(12, { text: (n) => textOfBytes(100_000, n) })))

    await converge(clients, { todoCount: 24 })
    const late = await openClient(t, { server, name: 'late', transport })
    const log = await converge([...clients, late], { todoCount: 24 })
    for (const client of clients) {
      const texts = log.filter(({ clientId }) => clientId === client.name).map(({ args }) => args.text)
      assert.deepEqual(
        texts,
        Array.from({ length: 12 }, (_, index) => textOfBytes(100_000, index + 1)),
      )
    }
  })
}

// A client sends at most 900,000 bytes in a request; one event may fill it.
test('an event near the largest request can be pulled again', { timeout }, async (t) => {
  const server = await startServer(t)
  const anna = await openClient(t, { server, name: 'anna' })
  const text = 'x'.repeat(890_000)
  await anna.create('before')
  await anna.create(text)
  await anna.create('after')
  await converge([anna], { todoCount: 3 })

  const late = await openClient(t, { server, name: 'late' })
  const lateHttp = await openClient(t, { server, name: 'late-http', transport: 'http' })
  const log = await converge([anna, late, lateHttp], { todoCount: 3 })
  assert.equal(log[1].args.text, text)
})

// A client of S2 sends at most 1000 records and 1 MiB at once, and a record of 1 MiB is the largest: 8 bytes and
// the event as JSON. A client of Electric knows no such limit, and the server's is the same 1 MiB.
test('events near the limit go in and out at every door', { timeout }, async (t) => {
  const server = await startServer(t)
  const clients = await Promise.all(
    ['s2', 'electric', 'ws'].map((transport) => openClient(t, { server, name: transport, transport })),
  )
  const text = 'x'.repeat((1 << 20) - 400)
  for (const [n, client] of clients.slice(0, 2).entries()) {
    await client.create('before')
    await client.create(text)
    await client.create('after')
    await converge(clients, { todoCount: 3 * (n + 1) })
  }
  const late = await openClient(t, { server, name: 'late', transport: 's2' })
  const log = await converge([...clients, late], { todoCount: 6 })
  assert.equal(log.filter(({ args }) => args.text === text).length, 2)
})
