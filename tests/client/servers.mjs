// The whole contract against two real servers: Sluice, and the reference backend of LiveStore
// (tests/reference). Both must look the same from a C program.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { setMaxListeners } from 'node:events'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { until } from '../lib/runner.mjs'
import { makeDirectory, startServer } from '../lib/server.mjs'
import { checkEvents, runSluice, startDriver } from './lib/driver.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
setMaxListeners(100)

const startSluice = async (t, { data, port = 0 }) => {
  const server = await startServer(t, { data, flags: port === 0 ? [] : ['--listen', `127.0.0.1:${port}`] })
  return { port: server.port, kill: () => (server.kill('SIGKILL'), server.ended) }
}

/** start.mjs, and workerd under it, which goes when its pid is killed or start.mjs ends. */
const startReference = async (t, { data, port = 0 }) => {
  const words = [path.join(here, '../reference/start.mjs'), '--data', data, '--port', String(port)]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.on('exit', resolve))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  t.after(() => (child.kill('SIGTERM'), ended))
  const [, pid, at] = await until('the reference server listens', () => {
    if (child.exitCode !== null) throw new Error(`the reference server did not start: ${output}`)
    return /pid (\d+), listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(output)
  })
  return { port: Number(at), kill: () => (process.kill(Number(pid), 'SIGKILL'), ended) }
}

/** A server that can be killed and comes back on its port with what it had stored. */
class Backend {
  constructor(t, start, data) {
    Object.assign(this, { t, launch: start, data, port: 0 })
  }

  async start() {
    this.running = await this.launch(this.t, this)
    this.port = this.running.port
    return this
  }

  async killAndStart() {
    await this.running.kill()
    await this.start()
  }

  get ws() {
    return `ws://127.0.0.1:${this.port}`
  }

  get http() {
    return `http://127.0.0.1:${this.port}`
  }
}

const open = async (t, start) => new Backend(t, start, await makeDirectory(t)).start()

/** Everything that is in a store, by a client of its own. */
const readAll = async (t, url) => {
  const driver = await startDriver(t, url, 'store')
  driver.do('pull 1 0 once')
  assert.equal((await driver.told('ended', { timeoutMs: 60_000 })).status, 'OK')
  return driver.events(1)
}

const pushAll = async (driver, command) => {
  const nth = driver.all('pushed').length + 1
  driver.do(command)
  const pushed = await driver.told('pushed', { nth, timeoutMs: 90_000 })
  return pushed
}

const contract = (start, transport) => async (t) => {
  const backend = await open(t, start)
  const state = path.join(await makeDirectory(t), 'state')
  const a = await startDriver(t, backend[transport], 'store', { state_path: state })
  const b = await startDriver(t, backend[transport], 'store')
  a.do('connect')
  assert.equal((await a.told('connect')).status, 'OK')
  a.do('ping')
  assert.equal((await a.told('ping')).status, 'OK')
  b.do('pull 1 0 live')
  await b.told('page', { fits: ({ info, events }) => info === 'no more' && events.length === 0 })
  assert.deepEqual(await pushAll(a, 'push 1 0 0 0'), { ...a.all('pushed')[0], status: 'OK', count: 0 })
  assert.equal((await pushAll(a, 'push 1 5 0 20')).status, 'OK')
  await b.until('the live pull brings them', () => b.events(1).length === 5)
  checkEvents(b.events(1), 5)
  assert.ok(b.events(1).every(({ dated }) => dated))
  const late = await pushAll(b, 'push 3 1 2 21') // somebody else has been there
  assert.equal(late.status, 'SERVER_AHEAD')
  assert.equal(late.minimumExpected, 5)
  assert.equal((await pushAll(b, 'push 6 250 5 20')).count, 250)
  a.do('pull 1 3 once')
  assert.equal((await a.told('ended')).status, 'OK')
  assert.deepEqual(a.events(1).map(({ seqNum }) => seqNum), Array.from({ length: 252 }, (_, i) => i + 4))
  await b.until('its own come back', () => b.events(1).length === 255)
  b.do('cancel 1')
  assert.equal((await b.told('ended')).status, 'CLOSED')
  a.do('connected')
  assert.equal((await a.told('connected')).connected, true)
  // Another run knows the backend id from the file, and pulls from its cursor at once.
  const c = await startDriver(t, backend[transport], 'store', { state_path: state })
  c.do('pull 1 254 once')
  await c.told('ended')
  assert.deepEqual(c.events(1).map(({ seqNum }) => seqNum), [255])
  checkEvents(await readAll(t, backend[transport]), 255)
}

const killedMidPush = (start, count) => async (t) => {
  const backend = await open(t, start)
  const options = { operation_timeout_ms: 60_000 }
  const pusher = await startDriver(t, backend.ws, 'store', options)
  const follower = await startDriver(t, backend.ws, 'store', options)
  follower.do('pull 1 0 live')
  pusher.do(`push 1 ${count} 0 1000`)
  for (const least of [200, count / 2]) {
    await follower.until(`${least} events`, () => follower.events(1).length >= least, { pollMs: 1 })
    assert.deepEqual(pusher.all('pushed'), [], 'the push was over before the server was killed')
    await backend.killAndStart()
  }
  const pushed = await pusher.told('pushed', { timeoutMs: 90_000 })
  assert.equal(pushed.status, 'OK', JSON.stringify(pushed))
  assert.equal(pushed.count, count)
  checkEvents(await readAll(t, backend.ws), count)
  await follower.until('the follower has all', () => follower.events(1).length >= count)
  checkEvents(follower.events(1), count)
}

const killedMidPull = (start, count) => async (t) => {
  const backend = await open(t, start)
  const pusher = await startDriver(t, backend.ws, 'store')
  assert.equal((await pushAll(pusher, `push 1 ${count} 0 1000`)).count, count)
  const puller = await startDriver(t, backend.ws, 'store', { operation_timeout_ms: 60_000 })
  puller.do('pull 1 0 once')
  await puller.told('page')
  assert.deepEqual(puller.all('ended'), [], 'the pull was over before the server was killed')
  await backend.killAndStart()
  assert.equal((await puller.told('ended', { timeoutMs: 90_000 })).status, 'OK')
  checkEvents(puller.events(1), count)
}

const many = (start) => async (t) => {
  const backend = await open(t, start)
  const line = (n) => `${JSON.stringify({ name: 'made', args: { n } })}\n`
  const input = Array.from({ length: 10_000 }, (_, i) => line(i + 1)).join('')
  const pushed = await runSluice(['push', backend.ws, 'store', '-'], { input })
  assert.equal(pushed.code, 0, pushed.errors)
  const pulled = await runSluice(['pull', backend.ws, 'store'])
  assert.equal(pulled.code, 0, pulled.errors)
  checkEvents(pulled.output.trim().split('\n').map((text) => JSON.parse(text)), 10_000)
  const driver = await startDriver(t, backend.http, 'store')
  driver.do('pull 1 9000 once')
  assert.equal((await driver.told('ended', { timeoutMs: 60_000 })).status, 'OK')
  assert.equal(driver.events(1).length, 1000)
}

const large = (start) => async (t) => {
  const backend = await open(t, start)
  const driver = await startDriver(t, backend.ws, 'store')
  assert.equal((await pushAll(driver, 'push 1 40 0 100000')).count, 40)
  for (const transport of ['ws', 'http']) {
    const events = await readAll(t, backend[transport])
    checkEvents(events, 40)
    assert.ok(events.every(({ args }) => args.text.length === 100_000))
  }
}

const outboxes = (start) => async (t) => {
  const backend = await open(t, start)
  const directory = await makeDirectory(t)
  const names = ['ann', 'bob', 'eve']
  const openOne = (name) =>
    startDriver(t, backend.ws, 'store', { outbox_path: path.join(directory, name), operation_timeout_ms: 60_000 })
  const drivers = await Promise.all(names.map(openOne))
  const commit = (first, last) => {
    for (let n = first; n <= last; n++) drivers.forEach((driver, i) => driver.do(`commit ${names[i]} made {"who":"${names[i]}","n":${n}}`))
  }
  commit(1, 100)
  await drivers[0].until('some are confirmed', () => drivers[0].events().length > 20)
  await backend.killAndStart()
  commit(101, 150)
  const all = (driver) => new Map(driver.events().map((event) => [event.seqNum, event])) // an advance may come again
  for (const driver of drivers) await driver.until('all logs are whole', () => all(driver).size === 450, { timeoutMs: 60_000 })
  const log = await readAll(t, backend.ws)
  for (const driver of drivers) assert.deepEqual([...all(driver).values()], log)
  for (const name of names) {
    const own = log.filter(({ args }) => args.who === name).map(({ args }) => args.n)
    assert.deepEqual(own, Array.from({ length: 150 }, (_, i) => i + 1))
  }
}

/** `count` events are so many that it is in the middle of them when it is killed. */
const testsOf = (name, start, count) => [
  { name: `${name}: killed twice in the middle of a push, which goes on without loss or doubling`, run: killedMidPush(start, count) },
  { name: `${name}: killed in the middle of a pull, which goes on where it was`, run: killedMidPull(start, count) },
  { name: `${name}: ten thousand events go in and come back, by the command line`, run: many(start) },
  { name: `${name}: three outboxes and a server that is killed end with one log`, run: outboxes(start) },
  { name: `${name}: the whole contract over WebSocket`, run: contract(start, 'ws') },
  { name: `${name}: the whole contract over HTTP`, run: contract(start, 'http') },
  { name: `${name}: events of 100 kB go in and come back`, run: large(start) },
]
export const sluiceTests = testsOf('Sluice', startSluice, 4000)
export const referenceTests = testsOf('the reference backend', startReference, 1000)
