import assert from 'node:assert/strict'
import { test } from 'node:test'

import { converge, fillStore, openClient, startServer } from '../harness.mjs'

const timeout = 600_000 // the client takes 15 s on a quiet machine, minutes on a busy one
const eventCount = 10_000

for (const transport of ['ws', 'http']) {
  test(`a new client boots with all of 10,000 events over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t)
    await fillStore(server, { storeId: 'todos', eventCount })

    const client = await openClient(t, {
      server,
      name: 'new',
      transport,
      sync: { initialSyncOptions: { _tag: 'Blocking', timeout: 400_000 } },
    })

    // At once: nothing is waited for here.
    const todos = client.todos()
    assert.equal(todos.length, eventCount)
    assert.equal(todos[0].id, 'filled-1')
    assert.equal(todos.at(-1).id, `filled-${eventCount}`)

    await client.createMany(3)
    await converge([client], { todoCount: eventCount + 3 })
  })
}
