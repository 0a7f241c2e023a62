import assert from 'node:assert/strict'
import { test } from 'node:test'

import { converge, openClient, openClients, startServer } from '../harness.mjs'

const timeout = 240_000

const texts = [
  'Grüße aus Köln, żółć, Ελλάδα, Привет',
  '東京 서울 ไทย हिन्दी العربية עברית',
  '🦥 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪',
  'combining: e\u0301 \u1100\u1161\u11a8 · bidi: \u202eabc\u202c · zero width: \u200b\u200d\ufeff',
  'line separators: \u2028 \u2029 \u0085 \r\n \n',
  'controls: \u0000 \u0001 \u0007 \b \f \t \u001b \u001f \u007f',
  'JSON and SQL: " \\ / \\u0041 \'; DROP TABLE todos; -- \\',
  'ends of planes: \ud7ff \ue000 \uffff \u{10000} \u{10ffff}',
  'half a pair: \ud83e and \uddaf',
]

// The HTTP client also puts the store id into a header, where `fetch` takes nothing beyond Latin-1.
const wireStoreIds = {
  ws: 'Büro/東京 🗂 &storeId=other#?%2F%00+ \u2028\u0000',
  http: 'Büro Straße/1 &storeId=other#?%2F%00+',
  s2: 'Büro/東京 🗂 &storeId=other#?%2F%00+ \u2028\u0000',
  electric: 'Büro/東京 🗂 &storeId=other#?%2F%00+ \u2028\u0000',
}

for (const [transport, wireStoreId] of Object.entries(wireStoreIds)) {
  test(`any text comes back as it was over ${transport}`, { timeout }, async (t) => {
    const server = await startServer(t)
    const options = {
      server,
      transport,
      wireStoreId,
      payload: { token: 'Schlüssel 🔑 & "Zeichen" %25' },
    }
    const clients = await openClients(t, ['Zoë 🐝 \u2028', 'Łukasz'], options)

    await Promise.all(
      clients.map((client) => client.createMany(texts.length, { text: (n) => texts[n - 1] })),
    )

    const todoCount = 2 * texts.length
    await converge(clients, { todoCount })
    const late = await openClient(t, { ...options, name: '遅い' })
    const log = await converge([...clients, late], { todoCount })
    for (const client of clients) {
      const events = log.filter(({ clientId }) => clientId === client.name)
      assert.deepEqual(events.map(({ args }) => args.text), texts)
    }
  })
}
