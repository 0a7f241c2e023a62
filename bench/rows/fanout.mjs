// Live pulls: what is delivered to them, and what they cost while nothing happens.

import { load, startBareLoop, startReference, startSluice } from '../lib/servers.mjs'
import { loadOnce } from './push.mjs'

/** As long as the message of a live page with one event of 250 bytes is; its frame has 4 bytes more. */
const PAGE_BYTES = 507
/** The reference's runtime ends it with more live pulls than that on one store. */
const REFERENCE_PULLS_MAX = 3333

const delivered = { name: 'delivered/s', of: (result) => result.events_per_s }
const cpu = {
  name: 'CPU s/million delivered',
  of: (result) => (result.server_cpu_s / result.events) * 1e6,
  less: true,
}

const reference = (clients, line) => ({
  reference: async () =>
    clients > REFERENCE_PULLS_MAX ? `fails over ${REFERENCE_PULLS_MAX.toLocaleString('en')}` : loadOnce(startReference(), line),
})

const oneAtATime = (clients, seconds) => {
  const line = `fanout --clients ${clients} --seconds ${seconds}`
  return {
    name: `fan-out to ${clients.toLocaleString('en')}, one push at a time`,
    measures: [
      { ...delivered, reference: 60, limit: 0.8 },
      { name: 'delivery p50 µs', of: (result) => result.delivery_p50_us, less: true },
      { name: 'delivery p99 µs', of: (result) => result.delivery_p99_us, less: true, reference: 1 / 20 },
      { name: 'last delivery p50 µs', of: (result) => result.last_p50_us, less: true },
      cpu,
    ],
    contenders: {
      sluice: () => loadOnce(startSluice(), line),
      ...reference(clients, line),
      limit: () => loadOnce(startBareLoop(['--page-bytes', PAGE_BYTES]), line),
    },
  }
}

const onePushASecond = (clients, seconds) => {
  const line = `fanout --clients ${clients} --rate 1 --seconds ${Math.max(5, 2 * seconds)}`
  return {
    name: `fan-out to ${clients.toLocaleString('en')}, one push a second`,
    measures: [
      { name: 'delivery p50 µs', of: (result) => result.delivery_p50_us, less: true },
      { name: 'delivery p99 µs', of: (result) => result.delivery_p99_us, less: true, reference: 1 / 20 },
    ],
    contenders: { sluice: () => loadOnce(startSluice(), line), ...reference(clients, line) },
  }
}

const asAcknowledged = (clients, seconds) => {
  const line = `fanout --clients ${clients} --seconds ${seconds} --as-acked --inflight 8`
  return {
    name: `fan-out to ${clients.toLocaleString('en')}, as fast as acknowledged`,
    measures: [{ ...delivered, reference: 100, limit: 0.6 }, { name: 'ack p50 µs', of: (result) => result.p50_us, less: true }, cpu],
    contenders: {
      sluice: () => loadOnce(startSluice(), line),
      ...reference(clients, line),
      limit: () => loadOnce(startBareLoop(['--page-bytes', PAGE_BYTES, '--coalesce']), line),
    },
  }
}

/** The reference's pulls are spread over stores, so that it can hold them. */
export const idleRow = (clients, { tls, name = '', measures } = {}) => ({
  name: `idle live pulls, ${clients.toLocaleString('en')}${name}`,
  measures: measures ?? [
    { name: 'bytes each', of: (result) => result.server_bytes_per_client, less: true, reference: 1 / 50, most: 4096 },
    { name: 'CPU %', of: (result) => 100 * result.server_cpu, less: true },
  ],
  contenders: {
    sluice: () => loadOnce(startSluice({ tls }), `idle --clients ${clients} --seconds 2 --warmup-ms 1000`),
    ...(tls === undefined && {
      reference: async () => {
        const server = await startReference()
        try {
          return await load(server, `idle --clients ${clients} --stores ${Math.ceil(clients / 500)} --seconds 2 --warmup-ms 1000`)
        } finally {
          await server.stop()
        }
      },
    }),
  },
})

export const fanoutRows = ({ seconds }) => [
  oneAtATime(1000, seconds),
  oneAtATime(5000, seconds),
  onePushASecond(1000, seconds),
  asAcknowledged(1000, seconds),
  asAcknowledged(5000, seconds),
  idleRow(5000),
]
