// A server that stops answering without closing anything, as under a suspended machine. After 10 to 20 s
// the client's ping times out and it reconnects, but it believes that its live pull and a push in flight
// still run: the new socket carries pings, at most pushes, and never a pull. Only the server can end
// that, by closing a socket on which nothing is pulled; it does after 30 s unless told otherwise.

import { describe, test } from 'node:test'

import { converge, keepDoing, openClient, openClients, seconds, startServer } from '../harness.mjs'

const timeout = 300_000
const frozenSeconds = 45

// The server's 30 s, and the client's reconnect delay of up to 30 s before and after.
const healTimeoutMs = 150_000

const outliveFreeze = async (t, { endFreeze, storeId }) => {
  const server = await startServer(t)
  const busy = await openClient(t, { server, storeId, name: 'busy' })
  const listening = await openClient(t, { server, storeId, name: 'listening' })
  const quiet = await openClient(t, { server, storeId, name: 'quiet' })
  const clients = [busy, listening, quiet]
  await Promise.all([busy.createMany(5), quiet.createMany(5)])
  await converge(clients, { todoCount: 10 })

  server.freeze()
  // A push that is in flight for ever, and more behind it.
  let createdCount = 0
  const load = keepDoing(
    async () => {
      await busy.create('while the server is frozen')
      createdCount += 1
    },
    { pauseMs: 1000 },
  )
  await seconds(frozenSeconds)
  await endFreeze(server)
  await load.stop()
  // A push on a socket on which nothing was ever pulled.
  await quiet.createMany(3)

  const todoCount = 10 + createdCount + 3
  await converge(clients, { todoCount, timeoutMs: healTimeoutMs })

  // And they are live again, the one that never pushes as well.
  await Promise.all([busy.createMany(2), quiet.createMany(2)])
  await converge(clients, { todoCount: todoCount + 4, timeoutMs: 20_000 })
}

describe('freeze', { concurrency: true }, () => {
  test('clients outlive a server that freezes and thaws (ws)', { timeout }, (t) =>
    outliveFreeze(t, {
      storeId: 'thawed',
      endFreeze: (server) => server.thaw(),
    }),
  )

  test('clients outlive a server that freezes and is killed (ws)', { timeout }, (t) =>
    outliveFreeze(t, {
      storeId: 'killed',
      endFreeze: async (server) => {
        await server.stop('SIGKILL')
        await server.start()
      },
    }),
  )

  test('clients outlive a server that freezes and thaws (http)', { timeout }, async (t) => {
    const server = await startServer(t)
    const clients = await openClients(t, ['anna', 'ben'], { server, storeId: 'polled', transport: 'http' })
    await Promise.all(clients.map((client) => client.createMany(5)))
    await converge(clients, { todoCount: 10 })

    server.freeze()
    await clients[0].createMany(5)
    await seconds(frozenSeconds)
    await clients[1].createMany(5)
    server.thaw()

    await converge(clients, { todoCount: 20 })
  })
})
