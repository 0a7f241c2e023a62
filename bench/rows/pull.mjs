// Pulls of a whole log. The limit is the time in which SQLite alone reads the rows plus that in which the
// bare loop sends as many bytes. The reference pulls a shorter log, or it would take minutes: its rate is
// what is compared.

import { fileOf, load, sqliteAlone, startBareLoop, startReference, startSluice } from '../lib/servers.mjs'
import { loadOnce } from './push.mjs'

const EVENTS = 100_000

const sluicePulls = (clients, http) => async () => {
  const server = await startSluice()
  try {
    await load(server, `push --batch 100 --events ${EVENTS}`)
    const result = await load(server, `pull --clients ${clients} --pulls ${clients === 1 ? 5 : 2}${http}`)
    const scan = sqliteAlone('scan', fileOf(server), 'bench-00000')
    return { ...result, scanSeconds: scan.seconds, bytes: result.received_bytes / (result.events / EVENTS) }
  } finally {
    await server.stop()
  }
}

const referencePulls = (clients, events, http) => async () => {
  const server = await startReference()
  try {
    await load(server, `push --batch 100 --events ${events}`)
    return await load(server, `pull --clients ${clients}${http}`)
  } finally {
    await server.stop()
  }
}

const scanAndSend = (clients) => async (sluice) => {
  const flags = ['--bulk-bytes', Math.round(sluice.bytes), '--bulk-events', EVENTS]
  const sent = await loadOnce(startBareLoop(flags), `pull --clients ${clients} --pulls 2`)
  const seconds = clients * sluice.scanSeconds + sent.seconds / 2
  return { events_per_s: (clients * EVENTS) / seconds, load_cpu: sent.load_cpu }
}

const rate = { name: 'events/s', of: (result) => result.events_per_s }

export const pullRows = ({ quick }) => {
  const short = quick ? 2000 : 10_000
  const row = (clients) => ({
    name: `pull of ${EVENTS.toLocaleString('en')}, ${clients} client${clients === 1 ? '' : 's'}`,
    measures: [{ ...rate, reference: 300, limit: 0.5 }],
    contenders: {
      sluice: sluicePulls(clients, ''),
      reference: referencePulls(clients, clients === 1 ? short : short / 4, ''),
      limit: scanAndSend(clients),
    },
  })
  const byHttp = {
    name: `pull of ${EVENTS.toLocaleString('en')} by HTTP, 1 client`,
    measures: [{ ...rate, reference: 100 }],
    contenders: { sluice: sluicePulls(1, ' --http'), reference: referencePulls(1, short, ' --http') },
  }
  return [row(1), row(8), byHttp]
}
