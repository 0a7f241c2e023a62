// What every scenario needs: a Sluice server that can be stopped, killed, frozen and started again on
// the same port with the same data, real LiveStore clients, and a way to wait until they agree.
//
// Everything that is started here ends with the test that started it: each `start…`/`open…` takes the
// test context and registers its own end, and what was started last ends first. Waiting is always for a
// condition, with a deadline.

import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'

import { makeAdapter } from '@livestore/adapter-node'
import { createStorePromise } from '@livestore/livestore'
import { makeHttpSync, makeWsSync } from '@livestore/sync-cf/client'
import { makeSyncBackend as makeElectricSync } from '@livestore/sync-electric'
import { makeSyncBackend as makeS2Sync } from '@livestore/sync-s2'
import { Cause, Deferred, Effect, Exit, LogLevel, Stream } from '@livestore/utils/effect'

import { events, schema, todosInLogOrder } from './todo.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
export const sluiceBinary = process.env.SLUICE_BIN ?? path.resolve(here, '../../build/sluice')
const clientLogs = process.env.CONFORMANCE_LOG === undefined ? LogLevel.None : LogLevel.Debug

const startTimeoutMs = 10_000
const stopTimeoutMs = 10_000
const pollMs = 25

// ---------------------------------------------------------------------------------------- waiting

/** Waits until `probe` answers something truthy, and returns that. On the deadline, `explain` says why. */
export const until = async (what, probe, { timeoutMs = 60_000, explain = () => '' } = {}) => {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await probe()
    if (value) return value
    if (performance.now() > deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${what}\n${await explain()}`)
    }
    await delay(pollMs)
  }
}

export const seconds = (s) => delay(s * 1000)

/** A load that goes on until it is stopped: `step` after `step`, `pauseMs` apart. */
export const keepDoing = (step, { pauseMs }) => {
  let isOn = true
  const done = (async () => {
    while (isOn) {
      await step()
      await delay(pauseMs)
    }
  })()
  done.catch(() => {})
  return {
    stop: () => {
      isOn = false
      return done
    },
  }
}

// ----------------------------------------------------------------------------------- cleaning up

const ends = new WeakMap()

export const atEnd = (t, end) => {
  if (!ends.has(t)) {
    ends.set(t, [])
    t.after(async () => {
      const errors = []
      for (const end of ends.get(t).reverse()) {
        try {
          await end()
        } catch (error) {
          errors.push(error)
        }
      }
      if (errors.length > 0) throw errors[0]
    })
  }
  ends.get(t).push(end)
}

export const temporaryDirectory = async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'sluice-conformance-'))
  atEnd(t, () => rm(directory, { recursive: true, force: true }))
  return directory
}

// ---------------------------------------------------------------------------------------- server

// Server processes that run now. The last line of defence: none outlives this process.
const running = new Set()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

class Server {
  #dataDirectory
  #args
  #child
  #output = ''
  #isWanted = false
  port = 0

  constructor(dataDirectory, args) {
    this.#dataDirectory = dataDirectory
    this.#args = args
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  get webSocketUrl() {
    return `ws://127.0.0.1:${this.port}`
  }

  /** Starts the server; a second start uses the port of the first. */
  async start() {
    const child = spawn(
      sluiceBinary,
      ['serve', '--listen', `127.0.0.1:${this.port}`, '--data', this.#dataDirectory, ...this.#args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    this.#child = child
    this.#isWanted = true
    running.add(child)
    child.once('exit', () => running.delete(child))
    child.once('error', (error) => {
      this.#output += `${error}\n`
      running.delete(child)
    })
    let stdout = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
      this.#output = (this.#output + chunk).slice(-20_000)
    })
    child.stderr.on('data', (chunk) => {
      this.#output = (this.#output + chunk).slice(-20_000)
    })
    const [, port] = await until(
      'the server says where it listens',
      () => {
        const listening = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(stdout)
        if (!listening && !running.has(child)) throw new Error(`the server did not start:\n${this.#output}`)
        return listening
      },
      { timeoutMs: startTimeoutMs, explain: () => this.#output },
    )
    this.port = Number(port)
  }

  /** Sends a signal and waits until the process is gone. After SIGTERM it must have ended in order. */
  async stop(signal) {
    const child = this.#child
    if (!running.has(child)) throw new Error(`the server ended by itself:\n${this.#output}`)
    this.#isWanted = false
    child.kill(signal)
    await until(`the server ends after ${signal}`, () => !running.has(child), {
      timeoutMs: stopTimeoutMs,
      explain: () => this.#output,
    })
    if (signal === 'SIGTERM' && child.exitCode !== 0) {
      throw new Error(`after SIGTERM the server ended with ${child.exitCode ?? child.signalCode}:\n${this.#output}`)
    }
  }

  /** The last stop, in order if that is possible. */
  async end() {
    if (!this.#isWanted) return
    this.thaw()
    try {
      await this.stop('SIGTERM')
    } finally {
      this.#child.kill('SIGKILL')
    }
  }

  /** The last of what it printed. */
  get output() {
    return this.#output
  }

  freeze() {
    this.#child.kill('SIGSTOP')
  }

  thaw() {
    this.#child.kill('SIGCONT')
  }
}

/** A server on a free port with a data directory of its own. It ends with the test. */
export const startServer = async (t, { args = [] } = {}) => {
  const server = new Server(await temporaryDirectory(t), args)
  atEnd(t, () => server.end())
  await server.start()
  return server
}

// --------------------------------------------------------------------------------------- clients

const backends = {
  // The ping settings are the client's defaults.
  ws: (server) => makeWsSync({ url: server.webSocketUrl }),
  // The client polls each 5 s by default, which would only make the scenarios slower.
  http: (server) => makeHttpSync({ url: server.url, livePull: { pollInterval: 300 } }),
  s2: (server) => makeS2Sync({ endpoint: `${server.url}/s2` }),
  electric: (server) => makeElectricSync({ endpoint: `${server.url}/electric` }),
}

/**
 * Tells when the client's session is taking in events from its leader.
 *
 * A commit in that time breaks a 0.4.0 client, whatever the server does: its session processor sets the
 * rebased state, then sleeps five times (`SIMULATION_ENABLED` in ClientSessionSyncProcessor.ts of
 * @livestore/common), and then empties its push queue, the app's commit with it. People rarely commit
 * within those few milliseconds; these tests would all the time. So the harness's commits wait.
 */
class SessionActivity {
  isBusy = false

  // Between handing out an element and the demand for the next one the session is at work.
  watch(stream) {
    return Stream.unwrapScoped(
      Effect.map(Stream.toPull(Stream.rechunk(stream, 1)), (pull) =>
        Stream.repeatEffectChunkOption(
          Effect.suspend(() => {
            this.isBusy = false
            return Effect.tap(pull, () => Effect.sync(() => (this.isBusy = true)))
          }),
        ),
      ),
    )
  }

  get adapterOverrides() {
    const leaderThreadProxy = ({ events }) => ({
      events: { ...events, pull: (options) => this.watch(events.pull(options)) },
    })
    return { clientSession: { leaderThreadProxy } }
  }
}

const causeChain = (error) => {
  const links = []
  for (let link = error; link instanceof Object && links.length < 10; link = link.cause ?? link.error) {
    links.push(`${link._tag ?? link.name}: ${link.message}`)
  }
  return links.join('\n    because of ')
}

let createdCount = 0

class Client {
  #activity
  #isClosed = false
  #death

  constructor(name, store, activity) {
    this.name = name
    this.store = store
    this.#activity = activity
  }

  async commit(...newEvents) {
    while (this.#activity.isBusy) await delay(1)
    this.store.commit(...newEvents)
  }

  /** Commits one "todo created" and returns its id: the client's name and a number of its own. */
  async create(text) {
    createdCount += 1
    const id = `${this.name}-${createdCount}`
    await this.commit(events.todoCreated({ id, text }))
    return id
  }

  /** As `create`, `count` times, and lets the event loop turn between the commits. */
  async createMany(count, { text = (n) => `${this.name} ${n}` } = {}) {
    for (let n = 1; n <= count; n++) {
      await this.create(text(n))
      await delay(0)
    }
  }

  async complete(id) {
    await this.commit(events.todoCompleted({ id }))
  }

  async rename(id, text) {
    await this.commit(events.todoRenamed({ id, text }))
  }

  todos() {
    return this.store.query(todosInLogOrder)
  }

  /**
   * The head up to which the server has confirmed, and how many events are on their way: `unsaved` from the
   * app's session to the client's leader (which stores them), `unconfirmed` from there to the server.
   */
  async syncState() {
    const { session, leader } = await this.store._dev.syncStates()
    return {
      head: leader.upstreamHead.global,
      unsaved: session.pending.length,
      unconfirmed: leader.pending.length,
    }
  }

  /** The confirmed events as this client has stored them: its copy of the log. */
  async log() {
    const { leader } = await this.store._dev.syncStates()
    if (leader.upstreamHead.global === 0) return []
    const log = []
    for await (const event of this.store.events({ until: leader.upstreamHead, batchSize: 1000 })) {
      const { name, args, seqNum, parentSeqNum, clientId, sessionId } = event
      log.push({ name, args, seqNum: seqNum.global, parentSeqNum: parentSeqNum.global, clientId, sessionId })
    }
    return log
  }

  /** Throws if the client has given up. */
  assertAlive() {
    if (this.#death !== undefined) throw new Error(`${this.name} has shut down: ${this.#death}`)
  }

  hasShutDown(exit) {
    if (this.#isClosed) return
    this.#death = Exit.isFailure(exit) ? causeChain(Cause.squash(exit.cause)) : JSON.stringify(exit.value)
  }

  async close() {
    if (this.#isClosed || this.#death !== undefined) return
    this.#isClosed = true
    await this.store.shutdownPromise()
  }
}

/**
 * A real LiveStore client. It is closed when the test ends.
 *
 * `storeId` is what LiveStore itself accepts; `wireStoreId`, any string, is what the server gets to see
 * instead. With `directory` the client keeps its data there and can be opened again.
 */
export const openClient = async (
  t,
  {
    server,
    name,
    storeId = 'todos',
    wireStoreId = storeId,
    transport = 'ws',
    directory,
    payload,
    sync = {},
  },
) => {
  const officialBackend = backends[transport](server)
  const activity = new SessionActivity()
  const shutdownDeferred = Effect.runSync(Deferred.make())
  const store = await createStorePromise({
    schema,
    storeId,
    syncPayload: payload,
    adapter: makeAdapter({
      storage: directory === undefined ? { type: 'in-memory' } : { type: 'fs', baseDirectory: directory },
      clientId: name,
      sync: {
        backend: (args) => officialBackend({ ...args, storeId: wireStoreId }),
        // Not the default ('ignore'): a client that gives up must be seen, not just be silent.
        onSyncError: 'shutdown',
        ...sync,
      },
      testing: { overrides: activity.adapterOverrides },
    }),
    disableDevtools: true,
    shutdownDeferred,
    logLevel: clientLogs,
  })
  const client = new Client(name, store, activity)
  Effect.runPromiseExit(Deferred.await(shutdownDeferred)).then((exit) => client.hasShutDown(exit))
  atEnd(t, () => client.close())
  return client
}

export const openClients = (t, names, options) =>
  Promise.all(names.map((name) => openClient(t, { ...options, name })))

// ------------------------------------------------------------------------------------ converging

const describe = async (clients) => {
  const lines = []
  for (const client of clients) {
    try {
      const { head, unsaved, unconfirmed } = await client.syncState()
      const todoCount = client.todos().length
      lines.push(`  ${client.name}: head ${head}, ${unsaved} unsaved, ${unconfirmed} unconfirmed, ${todoCount} todos`)
    } catch (error) {
      lines.push(`  ${client.name}: ${error?.message ?? error}`)
    }
  }
  return lines.join('\n')
}

/**
 * Waits until all clients have confirmed everything and stand at the same head with the same todos in
 * the same order, `todoCount` of them. Then compares the logs that they stored, event by event, and
 * checks that each is one chain. Returns that log.
 */
export const converge = async (clients, { todoCount, timeoutMs = 120_000 }) => {
  await until(
    `${clients.length} clients converge on ${todoCount} todos`,
    async () => {
      clients.forEach((client) => client.assertAlive())
      const states = await Promise.all(clients.map((client) => client.syncState()))
      if (states.some(({ unsaved, unconfirmed }) => unsaved + unconfirmed > 0)) return false
      if (states.some(({ head }) => head !== states[0].head)) return false
      const first = clients[0].todos()
      return first.length === todoCount && clients.every((client) => isDeepStrictEqual(client.todos(), first))
    },
    { timeoutMs, explain: () => describe(clients) },
  )
  const logs = await Promise.all(clients.map((client) => client.log()))
  logs.forEach((log, index) => {
    if (!isDeepStrictEqual(log, logs[0])) {
      throw new Error(`the logs of ${clients[0].name} and ${clients[index].name} differ`)
    }
  })
  let previous = 0
  for (const event of logs[0]) {
    if (event.parentSeqNum !== previous || event.seqNum <= previous) {
      throw new Error(`event ${event.seqNum} has parent ${event.parentSeqNum}, and comes after event ${previous}`)
    }
    previous = event.seqNum
  }
  return logs[0]
}

// ------------------------------------------------------------------------------------- raw pushes

/** Fills a store through the HTTP endpoint, in batches as large as a client makes them. */
export const fillStore = async (server, { storeId, eventCount, text = (n) => `todo ${n}` }) => {
  const url = `${server.url}/?storeId=${encodeURIComponent(storeId)}&transport=http`
  for (let first = 1; first <= eventCount; first += 100) {
    const batch = []
    for (let n = first; n < first + 100 && n <= eventCount; n++) {
      batch.push({
        name: 'v1.TodoCreated',
        args: { id: `filled-${n}`, text: text(n) },
        seqNum: n,
        parentSeqNum: n - 1,
        clientId: 'filler',
        sessionId: 'static',
      })
    }
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        _tag: 'Request',
        id: String(first),
        tag: 'SyncHttpRpc.Push',
        payload: { storeId, batch, backendId: { _tag: 'None' } },
        headers: [],
      }),
    })
    const body = await response.text()
    if (JSON.parse(body)[0]?.exit?._tag !== 'Success') throw new Error(`a push was refused: ${body}`)
  }
}
