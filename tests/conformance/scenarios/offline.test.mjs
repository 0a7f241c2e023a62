import { test } from 'node:test'

import { converge, openClient, openClients, startServer, temporaryDirectory, until } from '../harness.mjs'

const timeout = 240_000

test('what clients commit while the server is down arrives when it is back (ws)', { timeout }, async (t) => {
  const server = await startServer(t)
  const clients = await openClients(t, ['anna', 'ben'], { server })
  await Promise.all(clients.map((client) => client.createMany(5)))
  await converge(clients, { todoCount: 10 })

  await server.stop('SIGTERM')
  await Promise.all(clients.map((client) => client.createMany(20)))
  await server.start()

  await converge(clients, { todoCount: 50 })
})

test('a client that starts offline catches up when the server comes (ws)', { timeout }, async (t) => {
  const server = await startServer(t)
  const early = await openClient(t, { server, name: 'early' })
  await early.createMany(10)
  await converge([early], { todoCount: 10 })

  await server.stop('SIGTERM')
  const late = await openClient(t, { server, name: 'late' })
  await late.createMany(10)
  await server.start()

  await converge([early, late], { todoCount: 20 })
})

for (const transport of ['ws', 'http']) {
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
    // Closed as soon as the leader, which writes to disk, has all of it.
    await until('the leader has the commits', async () => (await before.syncState()).unsaved === 0)
    await before.close()
    await server.start()

    const other = await openClient(t, { server, name: 'ben', transport })
    await other.createMany(10)
    await converge([other], { todoCount: 15 })
    const after = await open()
    await converge([after, other], { todoCount: 25 })
  })
}
