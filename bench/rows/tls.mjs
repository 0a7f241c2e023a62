// With TLS: what of the table it changes. Here the limit is Sluice without it.

import { load, makeCertificate, startSluice } from '../lib/servers.mjs'
import { idleRow } from './fanout.mjs'
import { loadOnce } from './push.mjs'

export const tlsRows = ({ seconds }) => {
  let certificate
  const tls = () => (certificate ??= makeCertificate())
  const both = (name, measures, line) => ({
    name: `${name}, TLS`,
    measures,
    contenders: {
      sluice: () => loadOnce(startSluice({ tls: tls() }), line),
      limit: () => loadOnce(startSluice(), line),
    },
  })
  const pull = async (options) => {
    const server = await startSluice(options)
    try {
      await load(server, 'push --batch 100 --events 100000')
      return await load(server, 'pull --pulls 5')
    } finally {
      await server.stop()
    }
  }
  return [
    both('push, 64 stores, 1 event', [{ name: 'events/s', of: (result) => result.pushed_events_per_s }, { name: 'p99 µs', of: (result) => result.p99_us, less: true }], `push --clients 64 --stores 64 --seconds ${seconds}`),
    {
      name: 'pull of 100,000, 1 client, TLS',
      measures: [{ name: 'events/s', of: (result) => result.events_per_s }],
      contenders: { sluice: () => pull({ tls: tls() }), limit: () => pull({}) },
    },
    both('fan-out to 1,000, one push at a time', [{ name: 'delivered/s', of: (result) => result.events_per_s }, { name: 'delivery p99 µs', of: (result) => result.delivery_p99_us, less: true }], `fanout --clients 1000 --seconds ${seconds}`),
    idleRow(5000, {
      get tls() {
        return tls()
      },
      name: ', TLS',
      measures: [{ name: 'bytes each', of: (result) => result.server_bytes_per_client, less: true, most: 20480 }],
    }),
  ]
}
