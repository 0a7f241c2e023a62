// kill -9, over and over: between acknowledgements, in the middle of commits and checkpoints, and while the
// server recovers from the kill before. After each restart all stores are pulled and compared with what the
// clients know. Only the process dies here; what a power cut loses is the subject of
// test_eventlog_io_errors.c.

import { statSync } from 'node:fs'
import path from 'node:path'

import { ElectricClient, S2Client } from '../lib/doors.mjs'
import { slowness, startServer } from '../lib/server.mjs'
import { pullAll } from '../lib/sync_cf.mjs'
import { makeDirectory } from '../lib/server.mjs'
import { until } from '../lib/runner.mjs'
import { Journal } from './lib/journal.mjs'
import { DoorPusher, HttpPusher, WsPusher } from './lib/pusher.mjs'
import { ioCalls, killWhileStarting } from './lib/startup.mjs'

/** Kills of one data directory before a new one is begun: each is followed by pulls of everything. */
const killsPerLife = 12
const roundsByDefault = 72

/** Who pushes: alone with several pushes on the way, in competition, over both transports and dialects, at all doors. */
const makePushers = (random, hooks) => {
  const journals = ['alone', 'two · clients', 'mixed/✓', 'über http', 'doors'].map((name) => new Journal(name))
  const [alone, two, mixed, overHttp, doors] = journals
  const common = { random, hooks }
  const pushers = [
    new WsPusher({ ...common, journal: alone, name: 'alone', depth: 24 }),
    new WsPusher({ ...common, journal: two, name: 'first', dialect: 'v4' }),
    new WsPusher({ ...common, journal: two, name: 'second' }),
    new WsPusher({ ...common, journal: mixed, name: 'ws ✓' }),
    new HttpPusher({ ...common, journal: mixed, name: 'http ✓', dialect: 'v4' }),
    new HttpPusher({ ...common, journal: overHttp, name: 'http' }),
    new DoorPusher({ ...common, journal: mixed, name: 's2 ✓', Client: S2Client }),
    new DoorPusher({ ...common, journal: doors, name: 's2', Client: S2Client }),
    new DoorPusher({ ...common, journal: doors, name: 'electric', Client: ElectricClient }),
  ]
  return { journals, pushers }
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0)

const checkAll = async (server, journals) => {
  for (const journal of journals) {
    const { events, backendId } = await pullAll({ port: server.port, storeId: journal.storeId })
    journal.check(events, backendId)
  }
}

/**
 * Counts acknowledgements or sent pushes, and kills when there were enough; after a push that was sent, some
 * turns of this process's loop later, so that the server is anywhere on its way.
 */
class Killer {
  #left = Infinity
  #counts = 'acknowledgements'
  #turns = 0

  arm(server, random) {
    this.server = server
    this.#counts = random.chance(0.5) ? 'acknowledgements' : 'sends'
    this.#left = random.integer(1, 60)
    this.#turns = random.integer(0, 12)
  }

  disarm() {
    this.#left = Infinity
  }

  hooks = {
    onAcknowledged: () => this.#count('acknowledgements'),
    onSent: () => this.#count('sends'),
  }

  #count(what) {
    if (what === this.#counts && --this.#left === 0) this.#killAfter(what === 'sends' ? this.#turns : 0)
  }

  #killAfter(turns) {
    if (turns === 0) this.server.kill()
    else setImmediate(() => this.#killAfter(turns - 1))
  }
}

/** What all lives together have seen. */
class Totals {
  kills = 0
  startKills = 0
  acknowledgedPushes = 0
  acknowledgedEvents = 0
  checkedEvents = 0
  retransmitted = 0
  refused = 0

  add(journals, pushers) {
    this.acknowledgedEvents += sum(journals.map((journal) => journal.acknowledgedEvents))
    this.checkedEvents += sum(journals.map((journal) => journal.checkedEvents))
    this.acknowledgedPushes += sum(pushers.map((pusher) => pusher.acknowledged))
    this.retransmitted += sum(pushers.map((pusher) => pusher.retransmitted))
    this.refused += sum(pushers.map((pusher) => pusher.refused))
  }

  toString() {
    return (
      `${this.kills} kills, ${this.startKills} of them during a start; ` +
      `${this.acknowledgedPushes} pushes acknowledged (${this.acknowledgedEvents} events, ` +
      `compared ${this.checkedEvents} times), ${this.retransmitted} sent again, ${this.refused} told ahead`
    )
  }
}

/** After the last kill: everything is answered, the server stops in order, and what it leaves is right. */
const endLife = async (t, data, journals, pushers) => {
  const server = await startServer(t, { data })
  await checkAll(server, journals)
  for (const pusher of pushers) pusher.stop()
  await Promise.all(pushers.map((pusher) => pusher.run(server.port)))
  const unanswered = pushers.filter((pusher) => pusher.outstanding.length > 0)
  if (unanswered.length > 0) throw new Error(`unanswered: ${unanswered.map(({ name }) => name)}`)
  const { code, signal } = await server.stop()
  if (code !== 0) throw new Error(`the stop ended with ${code ?? signal}: ${server.errors}`)
  const last = await startServer(t, { data })
  await checkAll(last, journals)
  last.kill()
  await last.ended
}

/** Kills one data directory's server `kills` times; `startKillChance` of these kills are during a start. */
const liveOnce = async (t, totals, kills, startKillChance) => {
  const { random } = t
  const data = await makeDirectory(t)
  const killer = new Killer()
  const { journals, pushers } = makePushers(random, killer.hooks)
  let callsOfAStart = 20
  for (let killed = 0; killed < kills; killed++) {
    if (random.chance(startKillChance)) {
      await killWhileStarting(t, { data }, random.integer(0, callsOfAStart))
      totals.startKills++
      totals.kills++
      continue
    }
    const server = await startServer(t, { data })
    callsOfAStart = ioCalls(server)
    await checkAll(server, journals)
    killer.arm(server, random)
    await Promise.all(pushers.map((pusher) => pusher.run(server.port)))
    killer.disarm()
    const { signal } = await server.ended
    if (signal !== 'SIGKILL') throw new Error(`the server ended by itself: ${server.errors}`)
    server.check()
    totals.kills++
  }
  await endLife(t, data, journals, pushers)
  totals.add(journals, pushers)
}

const runLives = async (t, rounds, startKillChance) => {
  const totals = new Totals()
  while (totals.kills < rounds) {
    await liveOnce(t, totals, Math.min(killsPerLife, rounds - totals.kills), startKillChance)
    if (t.rounds !== undefined) t.say(`${totals}`)
  }
  t.say(`${totals}`)
}

/** Large batches until the write-ahead log is copied into the file, and the kill while that goes on. */
const killInCheckpoint = async (t, { data, journal, pusher }) => {
  const file = path.join(data, 'sluice.db')
  const server = await startServer(t, { data })
  const { events, backendId } = await pullAll({ port: server.port, storeId: journal.storeId })
  journal.check(events, backendId)
  const bytesBefore = statSync(file).size
  const running = pusher.run(server.port)
  const grown = until('the database file grows', () => statSync(file).size > bytesBefore, { timeoutMs: 60_000 * slowness, pollMs: 0 })
  await Promise.race([grown, running])
  server.kill()
  await Promise.all([grown, running, server.ended])
  server.check()
}

export const tests = [
  {
    name: 'what was acknowledged survives kill -9 at any moment, once and unchanged, and nothing else but whole batches',
    run: (t) => runLives(t, t.rounds ?? roundsByDefault, 0),
  },
  {
    name: 'a server that is killed while it starts and recovers is none the worse for it',
    run: (t) => runLives(t, t.rounds ?? roundsByDefault / 2, 0.7),
  },
  {
    name: 'kill -9 while the write-ahead log is copied into the file loses nothing',
    run: async (t) => {
      const data = await makeDirectory(t)
      const journal = new Journal('large')
      const pusher = new WsPusher({ journal, random: t.random, name: 'large', depth: 4, argsBytesMax: 300_000 })
      const kills = Math.min(t.rounds ?? 3, 20)
      for (let killed = 0; killed < kills; killed++) await killInCheckpoint(t, { data, journal, pusher })
      await endLife(t, data, [journal], [pusher])
      t.say(`${kills} kills; ${journal.acknowledgedEvents} events acknowledged, ${(statSync(path.join(data, 'sluice.db')).size / 1e6).toFixed(0)} MB`)
    },
  },
]
