// Pushes: over WebSocket and HTTP, small and large.

import { load, sqliteAlone, startBareLoop, startReference, startSluice, transactionsOf } from '../lib/servers.mjs'

const rate = { name: 'events/s', of: (result) => result.pushed_events_per_s }
const p50 = { name: 'p50 µs', of: (result) => result.p50_us, less: true }
const p99 = { name: 'p99 µs', of: (result) => result.p99_us, less: true }

/** Starts a server, loads it, stops it. */
export const loadOnce = async (starting, line) => {
  const server = await starting
  try {
    return await load(server, line)
  } finally {
    await server.stop()
  }
}

/** As loadOnce for Sluice; `group`: pushes in a transaction, on average over the whole run. */
const loadSluice = async (line, batch) => {
  const server = await startSluice()
  try {
    const before = await load(server, line)
    const pushes = before.pushes_per_s * (before.seconds + 0.5)
    return { ...before, group: Math.max(1, Math.round(pushes / transactionsOf(server))), batch }
  } finally {
    await server.stop()
  }
}

/** SQLite alone with the same rows, in transactions of as many pushes as Sluice's were. */
const sqlite = (stores, batch, seconds, eventBytes) => (sluice) => {
  const result = sqliteAlone('write', stores, batch, Math.min(stores, sluice.group), seconds, eventBytes)
  return { pushed_events_per_s: result.events_per_s, p50_us: result.p50_us, p99_us: result.p99_us }
}

const pushRow = ({ name, stores, batch = 1, eventBytes = 250, http = false, measures, limit, seconds }) => {
  const line = `push --clients ${stores} --stores ${stores} --batch ${batch} --event-bytes ${eventBytes} --seconds ${seconds}${http ? ' --http' : ''}`
  return {
    name,
    measures,
    contenders: {
      sluice: () => loadSluice(line, batch),
      reference: () => loadOnce(startReference(), line),
      ...(limit && { limit }),
    },
  }
}

/** One client: the limit is a commit of SQLite alone and a round trip of the bare loop. */
const commitAndEcho = (seconds) => async () => {
  const commit = sqliteAlone('write', 1, 1, 1, seconds, 250)
  const echo = await loadOnce(startBareLoop(), `push --seconds ${seconds}`)
  return { p50_us: commit.p50_us + echo.p50_us, p99_us: commit.p99_us + echo.p99_us }
}

export const pushRows = ({ seconds }) => [
  pushRow({
    name: 'push, 64 stores, 1 event',
    stores: 64,
    seconds,
    limit: sqlite(64, 1, seconds, 250),
    measures: [
      { ...rate, reference: 100, limit: 0.5 },
      { ...p99, reference: 1 / 20, of: (result) => result.p99_us },
      { name: 'pushes a transaction', of: (result) => result.group },
    ],
  }),
  pushRow({
    name: 'push, 8 stores, batches of 100',
    stores: 8,
    batch: 100,
    seconds,
    limit: sqlite(8, 100, seconds, 250),
    measures: [{ ...rate, reference: 150, limit: 0.6 }, { name: 'pushes a transaction', of: (result) => result.group }],
  }),
  pushRow({
    name: 'push, 1 store, 1 event, 1 client',
    stores: 1,
    seconds,
    limit: commitAndEcho(seconds),
    measures: [{ ...p50, reference: 1 / 4, limit: 1.5 }, { ...p99 }],
  }),
  pushRow({
    name: 'push by HTTP, 64 stores, 1 event',
    stores: 64,
    http: true,
    seconds,
    measures: [{ ...rate, reference: 100 }, { ...p99 }],
  }),
  pushRow({
    name: 'push, 8 stores, 1 event of 100 kB',
    stores: 8,
    eventBytes: 100_000,
    seconds,
    limit: sqlite(8, 1, seconds, 100_000),
    measures: [{ ...rate }, { ...p99 }],
  }),
]
