import { test } from 'node:test'

import {
  converge,
  keepDoing,
  openClients,
  openClient,
  startServer,
  temporaryDirectory,
  until,
} from '../harness.mjs'

const timeout = 240_000
const names = ['anna', 'ben', 'carla']

// A client's reconnect delay doubles with every outage of its life, up to 30 s.
const convergeTimeoutMs = 120_000

const confirmedHead = async (client) => (await client.syncState()).head

const loadOn = (clients) => {
  const load = { createdCount: 0 }
  const loops = clients.map((client) =>
    keepDoing(
      async () => {
        await client.create('under load')
        load.createdCount += 1
      },
      { pauseMs: 150 },
    ),
  )
  load.stop = () => Promise.all(loops.map((loop) => loop.stop()))
  return load
}

test('clients outlive restarts of the server under load (ws)', { timeout }, async (t) => {
  const server = await startServer(t)
  const clients = await openClients(t, names, { server })
  const load = loadOn(clients)

  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL', 'SIGTERM']) {
    // Every client must have got through since the last start, then the server goes amid the traffic.
    const heads = await Promise.all(clients.map(confirmedHead))
    await until(
      'all clients make progress',
      async () => {
        const now = await Promise.all(clients.map(confirmedHead))
        return now.every((head, index) => head >= heads[index] + 5)
      },
      { timeoutMs: convergeTimeoutMs },
    )
    await server.stop(signal)
    await server.start()
  }
  await load.stop()

  await converge(clients, { todoCount: load.createdCount, timeoutMs: convergeTimeoutMs })
})

// Over HTTP a 0.4.0 client gives its pull up at the first refused connection, by its own design. So here
// the clients are opened again, from what they stored, among it pushes whose answer was lost.
test('clients opened again after a crash of the server lose and repeat nothing (http)', { timeout }, async (t) => {
  const server = await startServer(t)
  const directories = await Promise.all(names.map(() => temporaryDirectory(t)))
  const open = () =>
    Promise.all(
      names.map((name, index) =>
        openClient(t, {
          server,
          name,
          transport: 'http',
          directory: directories[index],
          sync: { onSyncError: 'ignore' },
        }),
      ),
    )

  let createdCount = 0
  let clients = await open()
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    const load = loadOn(clients)
    const head = await confirmedHead(clients[0])
    await until('pushes get through', async () => (await confirmedHead(clients[0])) >= head + 10)
    await server.stop(signal)
    await load.stop()
    createdCount += load.createdCount
    for (const client of clients) {
      await until('the leader has the commits', async () => (await client.syncState()).unsaved === 0)
      await client.close()
    }
    await server.start()
    clients = await open()
  }

  await converge(clients, { todoCount: createdCount })
})
