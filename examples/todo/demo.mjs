// Two LiveStore clients share a todo list through a Sluice server: `node demo.mjs [url]`.

import './newer-node.mjs'

import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'

import { makeAdapter } from '@livestore/adapter-node'
import { createStorePromise, queryDb } from '@livestore/livestore'
import { makeWsSync } from '@livestore/sync-cf/client'

import { events, schema, tables } from './schema.mjs'

const url = process.argv[2] ?? 'http://127.0.0.1:8787'
const storeId = `todo-demo-${randomUUID()}` // a new list for every run

setTimeout(() => {
  console.error(`The clients did not converge. Is there a server at ${url}? (sluice serve)`)
  process.exit(1)
}, 20_000).unref()

// This is all an app does to sync through Sluice: makeWsSync gets the server's URL.
const openClient = (clientId) =>
  createStorePromise({
    schema,
    storeId,
    adapter: makeAdapter({
      storage: { type: 'in-memory' }, // or { type: 'fs', baseDirectory: './data' } to keep it
      clientId,
      sync: { backend: makeWsSync({ url }) },
    }),
    disableDevtools: true,
  })

const todos = queryDb(tables.todos.orderBy('text', 'asc'))

const print = (name, store) => {
  console.log(`${name} sees:`)
  for (const { text, completed } of store.query(todos)) console.log(`  [${completed ? 'x' : ' '}] ${text}`)
}

// Resolves as soon as the condition holds; it is looked at again whenever a list changes.
const until = (stores, condition) =>
  new Promise((resolve) => {
    const unsubscribes = []
    const check = () => {
      if (!condition(...stores.map((store) => store.query(todos)))) return
      unsubscribes.forEach((unsubscribe) => unsubscribe())
      resolve()
    }
    for (const store of stores) unsubscribes.push(store.subscribe(todos, check))
  })

const [a, b] = await Promise.all([openClient('client-a'), openClient('client-b')])

// Both commit at once, each without waiting for the server or for the other.
const milk = randomUUID()
a.commit(
  events.todoCreated({ id: milk, text: 'buy milk' }),
  events.todoCreated({ id: randomUUID(), text: 'answer Ben' }),
)
b.commit(
  events.todoCreated({ id: randomUUID(), text: 'water the plants' }),
  events.todoCreated({ id: randomUUID(), text: 'call Anna' }),
)
print('Right after its own commits, A', a)
print('Right after its own commits, B', b)

await until([a, b], (seenByA, seenByB) => seenByA.length === 4 && isDeepStrictEqual(seenByA, seenByB))
console.log('\nThe server put the four events into one order, and both clients have them.')

// What one client does to the other's todo arrives as well.
b.commit(events.todoCompleted({ id: milk }))
await until([a, b], (seenByA, seenByB) =>
  [seenByA, seenByB].every((seen) => seen.some(({ id, completed }) => id === milk && completed)),
)
console.log('B has done one of A\'s todos.\n')
print('A', a)
print('B', b)

console.log('\nA and B have converged.')
await Promise.all([a.shutdownPromise(), b.shutdownPromise()])
process.exit(0)
