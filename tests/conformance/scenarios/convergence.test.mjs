import { test } from 'node:test'

import { converge, openClient, openClients, startServer } from '../harness.mjs'

const timeout = 240_000

for (const transport of ['ws', 'http']) {
  test(`three clients that commit at once converge over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t)
    const clients = await openClients(t, ['anna', 'ben', 'carla'], { server, transport })

    await Promise.all(clients.map((client) => client.createMany(50)))

    await converge(clients, { todoCount: 150 })
  })
}

test('clients on both transports share one store', { timeout }, async (t) => {
  const server = await startServer(t)
  const clients = await Promise.all([
    openClient(t, { server, name: 'anna', transport: 'ws' }),
    openClient(t, { server, name: 'ben', transport: 'http' }),
  ])

  await Promise.all(clients.map((client) => client.createMany(20)))

  await converge(clients, { todoCount: 40 })
})

test('edits of one todo end the same everywhere', { timeout }, async (t) => {
  const server = await startServer(t)
  const clients = await openClients(t, ['anna', 'ben', 'carla'], { server })
  const id = await clients[0].create('the one todo')
  await converge(clients, { todoCount: 1 })

  await Promise.all(
    clients.map(async (client) => {
      for (let n = 1; n <= 10; n++) await client.rename(id, `${client.name} calls it ${n}`)
      await client.complete(id)
    }),
  )

  const log = await converge(clients, { todoCount: 1 })
  const expectedEvents = 1 + 3 * 11
  if (log.length !== expectedEvents) throw new Error(`${log.length} events, not ${expectedEvents}`)
  const [todo] = clients[0].todos()
  const lastRename = log.findLast(({ name }) => name === 'v1.TodoRenamed')
  if (todo.text !== lastRename.args.text) throw new Error(`"${todo.text}" is not the last name it got`)
})
