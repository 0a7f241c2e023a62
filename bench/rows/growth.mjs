// What must not grow: with the number of stores, and with the length of a log. Here the limit is Sluice
// itself with few stores, or with a short log.

import { execFileSync } from 'node:child_process'

import { discard, fileBytes, load, scratch, startSluice } from '../lib/servers.mjs'
import { loadOnce } from './push.mjs'

const SEQ_BASE = 1_000_000_000 // the load generator's events start after it

/** 100 events in each store, in pushes of ten, ten under way at a time. */
const manyStores = (stores, eventsEach) => () =>
  loadOnce(startSluice(), `push --clients ${stores} --stores ${stores} --batch 10 --events ${eventsEach} --inflight 10`)

/** What a server holds that has just started and has served one client of one store. */
const heldWith = (stores) => async () => {
  const data = scratch()
  let server = await startSluice({ data })
  await load(server, `push --clients ${stores} --stores ${stores} --batch 10 --events 10`)
  await server.stop()
  server = await startSluice({ data })
  try {
    const result = await load(server, 'push --store other --events 10')
    return { bytes: result.server_private_bytes }
  } finally {
    await server.stop()
    discard(data)
  }
}

/** One store's log, grown from row to row: of the short log and the long one the same is measured. */
class Log {
  #data = scratch()
  events = 0

  async growTo(events) {
    if (events <= this.events) return
    const server = await startSluice({ data: this.#data })
    const head = this.events === 0 ? 0 : SEQ_BASE + this.events
    const missing = Math.ceil((events - this.events) / 1000) * 1000 // whole batches
    await load(server, `push --batch 1000 --events ${missing} --head ${head}`)
    await server.stop()
    execFileSync('sync') // or the disk would still be busy with it when the next thing is measured
    this.events += missing
  }

  /** The push latency at its head, and the time of a pull of its last 100 events. */
  async measure(seconds) {
    const server = await startSluice({ data: this.#data })
    try {
      const head = SEQ_BASE + this.events
      const pushed = await load(server, `push --seconds ${seconds} --head ${head}`)
      this.events = pushed.head - SEQ_BASE
      const pulled = await load(server, `pull --pulls 200 --cursor ${pushed.head - 100}`)
      return { push_us: pushed.p50_us, push_p99_us: pushed.p99_us, pull_us: pulled.p50_us, load_cpu: pushed.load_cpu }
    } finally {
      await server.stop()
    }
  }

  async startUp() {
    const server = await startSluice({ data: this.#data })
    const result = { ms: server.startedMs, gigabytes: fileBytes({ data: this.#data }) / 1e9 }
    await server.stop()
    return result
  }
}

export const growthRows = ({ seconds, quick, full }) => {
  const short = new Log()
  const long = new Log()
  const lengths = quick ? [100_000] : full ? [1_000_000, 10_000_000] : [1_000_000]
  const growth = lengths.map((events) => ({
    name: `one store of ${events.toLocaleString('en')} events`,
    measures: [
      { name: 'push p50 µs', of: (result) => result.push_us, less: true, limit: 1.25 },
      { name: 'push p99 µs', of: (result) => result.push_p99_us, less: true },
      { name: 'pull of the last 100, µs', of: (result) => result.pull_us, less: true, limit: 1.25 },
    ],
    contenders: {
      sluice: async () => {
        await long.growTo(events)
        return long.measure(seconds)
      },
      limit: async () => {
        await short.growTo(1000)
        return short.measure(seconds)
      },
    },
  }))
  return [
    {
      name: `${quick ? '1,000' : '10,000'} stores of 100 events`,
      measures: [
        { name: 'events/s', of: (result) => result.pushed_events_per_s, limit: 0.8 },
        { name: 'p99 µs', of: (result) => result.p99_us, less: true },
      ],
      contenders: { sluice: manyStores(quick ? 1000 : 10_000, 100), limit: manyStores(10, quick ? 10_000 : 100_000) },
    },
    {
      name: 'memory of 10,000 stores that nobody uses',
      rounds: 1,
      measures: [{ name: 'bytes of the process', of: (result) => result.bytes, less: true, limit: 1.05 }],
      contenders: { sluice: heldWith(10_000), limit: heldWith(10) },
    },
    ...growth,
    {
      name: `start with a log of ${quick ? '100,000 events' : '1 GB or more'}`,
      measures: [
        { name: 'ms', of: (result) => result.ms, less: true },
        { name: 'GB', of: (result) => result.gigabytes },
      ],
      contenders: {
        sluice: async () => {
          await long.growTo(quick ? 100_000 : 5_000_000)
          return long.startUp()
        },
        limit: async () => {
          await short.growTo(1000)
          return short.startUp()
        },
      },
    },
  ]
}
