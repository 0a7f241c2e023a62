// The clients of @livestore/sync-s2 and @livestore/sync-electric, alone and together with sync-cf's.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  converge,
  fillStore,
  openClient,
  openClients,
  startServer,
  temporaryDirectory,
  until,
} from '../harness.mjs'
import { startHeldServer } from '../held_server.mjs'

const timeout = 240_000
const doors = ['ws', 'http', 's2', 'electric']

const openAtEveryDoor = (t, server) =>
  Promise.all(doors.map((transport) => openClient(t, { server, name: `at-${transport}`, transport })))

for (const transport of ['s2', 'electric']) {
  test(`two clients that commit at once recover from conflicts over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t, { args: ['--log-level', 'debug'] }) // which tells of conflicts
    const clients = await openClients(t, ['anna', 'ben'], { server, transport })

    await Promise.all(clients.map((client) => client.createMany(50)))

    await converge(clients, { todoCount: 100 })
    assert.match(server.output, /SERVER_AHEAD/, 'there was no conflict')
  })

  // Far less than the 20 s of a long poll: a client that has heard an event holds its own commits back until
  // it is told that nothing follows.
  test(`clients that answer each other do so at once over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t)
    const clients = await openClients(t, ['anna', 'ben'], { server, transport })
    for (let round = 1; round <= 10; round++) {
      await clients[round % 2].create(`round ${round}`)
      await converge(clients, { todoCount: round, timeoutMs: 8_000 })
    }
  })

  test(`a new client catches up with a long log over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t)
    await fillStore(server, { storeId: 'todos', eventCount: 2200 })
    const clients = await openClients(t, ['anna', 'ben'], { server, transport })
    await clients[0].create('one more')
    await converge(clients, { todoCount: 2201 })
  })

  test(`offline edits survive a restart of the client over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t)
    const directory = await temporaryDirectory(t)
    const open = () =>
      openClient(t, { server, name: 'anna', transport, directory, sync: { onSyncError: 'ignore' } })

    const before = await open()
    await before.createMany(5)
    await converge([before], { todoCount: 5 })
    await server.stop('SIGTERM')
    await before.createMany(10)
    await until('the leader has the commits', async () => (await before.syncState()).unsaved === 0)
    await before.close()
    await server.start()

    // Somebody else was there first, so the edits are stale and are rebased.
    const other = await openClient(t, { server, name: 'ben', transport })
    await other.createMany(10)
    await converge([other], { todoCount: 15 })
    const after = await open()
    await converge([after, other], { todoCount: 25 })
  })
}

test('four clients of one store, one at each door, commit at once and converge', { timeout }, async (t) => {
  const server = await startServer(t)
  const clients = await openAtEveryDoor(t, server)

  await Promise.all(clients.map((client) => client.createMany(25)))

  const log = await converge(clients, { todoCount: 100 })
  for (const { name } of clients) {
    assert.equal(log.filter(({ clientId }) => clientId === name).length, 25, name)
  }
})

test('each door hears what is committed at every other', { timeout }, async (t) => {
  const server = await startServer(t)
  const clients = await openAtEveryDoor(t, server)
  let todoCount = 0
  for (const client of [...clients, ...clients]) {
    await client.create(`by ${client.name}`)
    todoCount += 1
    await converge(clients, { todoCount, timeoutMs: 15_000 })
  }
})

// Without the held socket, the first refused connection ends a pull over S2 or Electric for good. The clients
// are quiet while the server restarts: a process as busy as this one may send a request on a kept connection
// half a second after the server said goodbye on it.
test('clients outlive restarts behind a held listening socket, at the doors that can', { timeout }, async (t) => {
  const server = await startHeldServer(t)
  const clients = await Promise.all(
    ['ws', 's2', 'electric'].map((transport) => openClient(t, { server, name: `at-${transport}`, transport })),
  )
  let todoCount = 0
  for (let restart = 0; restart < 3; restart++) {
    await Promise.all(clients.map((client) => client.createMany(3)))
    todoCount += 9
    await converge(clients, { todoCount })
    await server.stop()
    await server.start()
  }
  await Promise.all(clients.map((client) => client.createMany(3)))
  await converge(clients, { todoCount: todoCount + 9 })
})
