// Killing a server while it starts: after so many read and write calls of its own, which is a place in its
// start and not a time.

import { readFileSync } from 'node:fs'

import { slowness, spawnServer } from '../../lib/server.mjs'

/** Read and write calls that the process has made. */
export const ioCalls = (server) => {
  const text = readFileSync(`/proc/${server.pid}/io`, 'utf8')
  return Number(/syscr: (\d+)/.exec(text)[1]) + Number(/syscw: (\d+)/.exec(text)[1])
}

/** A start that makes no call for so long is over. */
const idleMs = 50 * slowness

/**
 * Starts a server and kills it once it has made `calls` read and write calls, or has nothing more to do. The
 * looking is done without giving the turn back, as the whole start takes some milliseconds. Resolves to how
 * many calls it had made.
 */
export const killWhileStarting = async (t, options, calls) => {
  const server = spawnServer(t, options)
  let made = 0
  let lastCall = performance.now()
  while (made < calls && performance.now() < lastCall + idleMs) {
    const now = ioCalls(server)
    if (now !== made) lastCall = performance.now()
    made = now
  }
  server.kill()
  await server.ended
  return made
}
