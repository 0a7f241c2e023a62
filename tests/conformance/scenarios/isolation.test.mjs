import assert from 'node:assert/strict'
import { test } from 'node:test'

import { converge, openClients, startServer } from '../harness.mjs'

const timeout = 240_000

// Ids that a careless server could take for one another. (The HTTP client also puts the id into a header,
// where `fetch` takes nothing beyond Latin-1 and no NUL.)
const storeIds = {
  ws: ['team', 'Team', 'team ', 'team/a', 'team\u0000', 'te\u0301am'],
  http: ['team', 'Team', 'team ', 'team/a', 'team%2Fa', 'team+'],
}

for (const transport of ['ws', 'http']) {
  test(`stores side by side on one server share nothing over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t)
    const stores = await Promise.all(
      storeIds[transport].map(async (wireStoreId, index) => ({
        names: [`anna-${index}`, `ben-${index}`],
        clients: await openClients(t, [`anna-${index}`, `ben-${index}`], { server, transport, wireStoreId }),
      })),
    )

    // A different number in each, so that no two stores can be taken for one another.
    await Promise.all(
      stores.map(({ clients }, index) => Promise.all(clients.map((client) => client.createMany(3 + index)))),
    )

    for (const [index, { names, clients }] of stores.entries()) {
      const log = await converge(clients, { todoCount: 2 * (3 + index) })
      assert.deepEqual([...new Set(log.map(({ clientId }) => clientId))].sort(), names)
      assert.equal(log.at(-1).seqNum, log.length)
    }
  })
}
