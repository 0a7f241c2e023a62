// The end of a server that is asked to stop: what is under way is finished, everybody is told, and with a
// listening socket that outlives the server (LISTEN_FDS) HTTP clients do not notice a restart at all.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'

import { ElectricClient, S2Client } from '../lib/doors.mjs'
import { until, within } from '../lib/runner.mjs'
import { makeDirectory, sanitizer, slowness, sluiceBinary, startServer } from '../lib/server.mjs'
import { ConnectionLost, httpRequest, openWsClient, pullAll, syncPath } from '../lib/sync_cf.mjs'
import { plainEvents } from './lib/events.mjs'
import { Journal } from './lib/journal.mjs'
import { DoorPusher, HttpPusher, WsPusher } from './lib/pusher.mjs'

const checkAll = async (port, journals) => {
  for (const journal of journals) {
    const { events, backendId } = await pullAll({ port, storeId: journal.storeId })
    journal.check(events, backendId)
  }
}

/** Thirty clients on five stores, at all doors. */
const makeClients = (random, hooks) => {
  const journals = Array.from({ length: 5 }, (_, i) => new Journal(`store ${i}`))
  const pushers = journals.flatMap((journal) => [
    new WsPusher({ journal, random, hooks, name: 'ws v3' }),
    new WsPusher({ journal, random, hooks, name: 'ws v4', dialect: 'v4' }),
    new HttpPusher({ journal, random, hooks, name: 'http' }),
    new HttpPusher({ journal, random, hooks, name: 'http, a connection each', keepAlive: false }),
    new DoorPusher({ journal, random, hooks, name: 's2', Client: S2Client }),
    new DoorPusher({ journal, random, hooks, name: 'electric', Client: ElectricClient }),
  ])
  return { journals, pushers }
}

/** What a client may see of a server that stops: 1012, an answer to what it asked, or nobody to connect to. */
const assertCleanEnd = (pusher) => {
  const { name, lostBy, close } = pusher
  if (pusher instanceof WsPusher) {
    if (close !== undefined && close.code !== 1012) {
      throw new Error(`a WebSocket was closed with ${close.code} ${close.reason} ${close.error ?? ''}`)
    }
    return
  }
  const code = lostBy?.cause?.code
  // A connection that the server never took from the queue ends with the queue.
  const wasNeverTaken = !lostBy?.wasUsed && code === 'ECONNRESET'
  if (code !== 'ECONNREFUSED' && !wasNeverTaken) throw new Error(`${name} lost its answer: ${lostBy}`)
}

const drainOnce = async (t, data, journals, pushers, arm) => {
  const server = await startServer(t, { data })
  await checkAll(server.port, journals)
  const stopping = arm(server)
  await Promise.all(pushers.map((pusher) => pusher.run(server.port)))
  const stoppedAt = await stopping
  const { code, signal } = await within(10_000 * slowness, 'the server ends', server.ended)
  if (code !== 0) throw new Error(`it ended with ${code ?? signal}: ${server.errors}`)
  for (const pusher of pushers) assertCleanEnd(pusher)
  return performance.now() - stoppedAt
}

const underLoad = async (t) => {
  const { random } = t
  const data = await makeDirectory(t)
  let onAcknowledged = () => {}
  const { journals, pushers } = makeClients(random, { onAcknowledged: () => onAcknowledged() })
  let longestMs = 0
  const rounds = t.rounds ?? 5
  for (let round = 0; round < rounds; round++) {
    const arm = (server) =>
      new Promise((resolve) => {
        let left = random.integer(1, 200)
        onAcknowledged = () => {
          if (--left !== 0) return
          server.kill('SIGTERM')
          resolve(performance.now())
        }
      })
    longestMs = Math.max(longestMs, await drainOnce(t, data, journals, pushers, arm))
  }
  const server = await startServer(t, { data })
  await checkAll(server.port, journals)
  const events = journals.reduce((sum, journal) => sum + journal.acknowledgedEvents, 0)
  t.say(`${rounds} stops under load, the longest ${longestMs.toFixed(0)} ms; ${events} events acknowledged`)
}

/** A connection whose request never ends: it keeps a drain waiting. */
const holdOpen = async (server) => {
  const socket = net.connect(server.port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => {})
  socket.write(`POST ${syncPath('held', 'http')} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n[`)
  await server.get('/healthz') // the server has read what came before
  return socket
}

const secondSignal = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), flags: ['--drain-timeout', '10m'] })
  const journal = new Journal('two signals')
  const pusher = new WsPusher({ journal, random: t.random, name: 'ws' })
  const held = await holdOpen(server)
  const running = pusher.run(server.port)
  await until('some pushes', () => pusher.acknowledged > 10)
  server.kill('SIGTERM')
  await running
  await until('it drains', () => /stopping/.test(server.errors))
  if (server.hasEnded) throw new Error('it did not wait for what was under way')
  const secondAt = performance.now()
  server.kill('SIGTERM')
  const { code } = await server.ended
  if (code !== 143) throw new Error(`the second signal ended it with ${code}, not 143`)
  if (performance.now() - secondAt > 1000 * slowness) throw new Error('the second signal did not end it at once')
  held.destroy()
  const again = await startServer(t, { data: server.data })
  await checkAll(again.port, [journal])
}

const drainTimeout = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), flags: ['--drain-timeout', '500ms'] })
  const held = await holdOpen(server)
  const closed = once(held, 'close')
  const stoppedAt = performance.now()
  const { code } = await server.stop()
  if (code !== 0) throw new Error(`it ended with ${code}`)
  if (performance.now() - stoppedAt > 3000 * slowness) throw new Error('it took longer than its drain timeout')
  await closed
}

/** Another program holds the database for longer than a stop may take, and pushes wait for it. */
const heldDatabase = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), flags: ['--drain-timeout', '300ms'] })
  const hold = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()`
  const holder = spawn('python3', ['-c', hold, `${server.data}/sluice.db`], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => holder.kill())
  await once(holder.stdout, 'data')
  const client = await openWsClient({ port: server.port, storeId: 'held' })
  const pushed = client.push(plainEvents({ count: 1, parent: 0, argsBytes: 10 })).catch((error) => error)
  await client.ping() // the push has been read
  const { code } = await server.stop()
  if (code !== 0) throw new Error(`it ended with ${code}`)
  if (!/without waiting for a commit/.test(server.errors)) throw new Error(`it waited for the disk: ${server.errors}`)
  if (!((await pushed) instanceof ConnectionLost)) throw new Error('the push was answered')
}

/** Whoever starts it may have closed the standard descriptors: nothing else may then sit in their place. */
const closedDescriptors = async (t) => {
  for (const closed of ['<&-', '2>&-', '<&- 2>&-']) {
    const server = await startServer(t, {
      data: await makeDirectory(t),
      wrap: ['sh', '-c', `exec "$0" "$@" ${closed}`],
    })
    const journal = new Journal('closed descriptors')
    const pusher = new WsPusher({ journal, random: t.random, name: 'ws' })
    const running = pusher.run(server.port)
    await httpRequest({ port: server.port, method: 'POST', path: syncPath('a', 'http'), body: 'refused, and logged' })
    await until('some pushes', () => pusher.acknowledged > 10)
    const { code, signal } = await server.stop()
    if (code !== 0) throw new Error(`${closed}: it ended with ${code ?? signal}`)
    await running
    const again = await startServer(t, { data: server.data })
    await checkAll(again.port, [journal])
  }
}

/**
 * What a service manager does: keeps a listening socket, and starts the server with it as often as it is told.
 * A shell, because this process cannot hold a listening socket without accepting from it.
 */
const managerScript = `
while read -r _; do
  sh -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"' sh "$@" &
  echo "started $!"
  wait $!
  echo "ended $?"
done`

class Manager {
  output = ''
  errors = ''

  constructor(child, port) {
    Object.assign(this, { child, port })
    child.stdout.setEncoding('utf8').on('data', (text) => (this.output += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (this.errors += text))
    this.ended = once(child, 'close')
    this.ends = 0
  }

  /** Starts the server; what has come of the one before must have ended. */
  async start() {
    this.output = ''
    this.child.stdin.write('start\n')
    await until('the server listens', () => /listening on \S+:\d+\n/.test(this.output), { timeoutMs: 20_000 * slowness, pollMs: 1 })
    this.serverPid = Number(/started (\d+)/.exec(this.output)[1])
    const port = Number(/listening on \S+:(\d+)\n/.exec(this.output)[1])
    if (port !== this.port) throw new Error(`it listens on ${port}, not on the socket it was given`)
  }

  /** Asks the server to stop, and waits for its end. */
  async stop() {
    process.kill(this.serverPid, 'SIGTERM')
    await until('the server ends', () => /ended \d+/.test(this.output), { pollMs: 1 })
    const code = Number(/ended (\d+)/.exec(this.output)[1])
    if (code !== 0) throw new Error(`it ended with ${code}: ${this.errors}`)
  }

  async dispose() {
    if (!/ended \d+/.test(this.output) && this.serverPid !== undefined) process.kill(this.serverPid, 'SIGKILL')
    this.child.stdin.end()
    await this.ended
    if (/Sanitizer|runtime error|assertion failed/.test(this.errors)) throw new Error(this.errors)
  }
}

const startManager = async (t, data) => {
  const listener = net.createServer().listen(0, '127.0.0.1', 1024)
  await once(listener, 'listening')
  const { port } = listener.address()
  const serverCommand = [sluiceBinary, 'serve', '--data', data]
  const child = spawn('sh', ['-c', managerScript, 'sh', ...serverCommand], {
    stdio: ['pipe', 'pipe', 'pipe', listener._handle.fd],
  })
  listener.close() // the shell has it now
  const manager = new Manager(child, port)
  t.after(() => manager.dispose())
  return manager
}

const restartsUnnoticed = async (t) => {
  const { random } = t
  const data = await makeDirectory(t)
  const manager = await startManager(t, data)
  await manager.start()
  const journals = Array.from({ length: 3 }, (_, i) => new Journal(`store ${i}`))
  const pushers = journals.flatMap((journal) => [
    new HttpPusher({ journal, random, name: 'http' }),
    new HttpPusher({ journal, random, name: 'http v4', dialect: 'v4' }),
    new HttpPusher({ journal, random, name: 'http, a connection each', keepAlive: false }),
  ])
  const running = Promise.all(
    pushers.map(async (pusher) => {
      await pusher.run(manager.port)
      if (pusher.lostBy !== undefined) throw new Error(`${pusher.name} noticed: ${pusher.lostBy}`)
    }),
  )
  const restarts = t.rounds ?? 8
  for (let restart = 0; restart < restarts; restart++) {
    const target = pushers.reduce((sum, { acknowledged }) => sum + acknowledged, 0) + random.integer(10, 100)
    const total = () => pushers.reduce((sum, { acknowledged }) => sum + acknowledged, 0)
    await Promise.race([running, until('pushes go on', () => total() >= target, { timeoutMs: 20_000 * slowness, pollMs: 1 })])
    await manager.stop()
    await manager.start()
  }
  for (const pusher of pushers) pusher.stop()
  await running
  await checkAll(manager.port, journals)
  const events = journals.reduce((sum, journal) => sum + journal.acknowledgedEvents, 0)
  t.say(`${restarts} restarts, ${pushers.length} clients, ${events} events acknowledged, no request lost`)
  await manager.stop()
}

/** Clients that poll, as a LiveStore app over HTTP does: mostly idle, on connections that are kept. */
const pollersUnnoticed = async (t) => {
  const manager = await startManager(t, await makeDirectory(t))
  await manager.start()
  let isOver = false
  let answers = 0
  const poller = async () => {
    while (!isOver) {
      const { status } = await httpRequest({ port: manager.port, path: '/healthz' })
      if (status !== 200) throw new Error(`answered with ${status}`)
      answers++
      await new Promise((resolve) => setTimeout(resolve, t.random.integer(1, 60)))
    }
  }
  const pollers = Promise.all(Array.from({ length: 30 }, poller))
  for (let restart = 0; restart < (t.rounds ?? 8); restart++) {
    const before = answers
    await Promise.race([pollers, until('answers', () => answers > before + 50)])
    await manager.stop()
    await manager.start()
  }
  isOver = true
  await pollers
  t.say(`${answers} answers`)
}

export const tests = [
  { name: 'asked to stop under load, it ends in time, everybody is told, and what was acknowledged is there', run: underLoad },
  { name: 'a second signal ends a server that waits for what is under way', run: secondSignal },
  { name: 'what does not end by itself is cut after the drain timeout', run: drainTimeout },
  { name: 'a commit that does not end does not keep a stop waiting', run: heldDatabase },
  { name: 'a server whose standard descriptors were closed works, and ends in order', run: closedDescriptors },
  { name: 'with a passed listening socket, clients that push over HTTP do not notice restarts', run: restartsUnnoticed },
  { name: 'with a passed listening socket, clients that poll over HTTP do not notice restarts', run: pollersUnnoticed },
]
