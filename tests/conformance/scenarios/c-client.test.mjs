// A program on libsluice, with an outbox, and real LiveStore clients edit one store.

import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'

import { startDriver } from '../../client/lib/driver.mjs'
import { converge, openClients, startServer, temporaryDirectory, until } from '../harness.mjs'

const timeout = 240_000

/** A C client; `todos` counts what it has committed. */
class Program {
  #driver
  #created = 0

  constructor(t, { server, name, directory, transport }) {
    Object.assign(this, { t, name, transport, server, outbox: path.join(directory, name) })
  }

  async open() {
    const url = this.transport === 'http' ? this.server.url : this.server.webSocketUrl
    this.#driver = await startDriver(this.t, url, 'todos', { outbox_path: this.outbox })
    return this
  }

  #commit(name, args) {
    this.#driver.do(`commit ${this.name} v1.${name} ${JSON.stringify(args)}`)
  }

  createMany(count) {
    for (let n = 1; n <= count; n++) {
      this.#created += 1
      const id = `${this.name}-${this.#created}`
      this.#commit('TodoCreated', { text: `${this.name} says “hé”\n${n}`, id }) // keys in another order than LiveStore's
    }
  }

  rename(id, text) {
    this.#commit('TodoRenamed', { id, text })
  }

  /** Every commit is on the disk. */
  committed(count) {
    return this.#driver.told('committed', { nth: count })
  }

  kill() {
    return this.#driver.kill()
  }

  /** What it was told, by sequence number: what it applied before a crash may come again. */
  log() {
    const events = new Map(this.#driver.events().map(({ dated, ...event }) => [event.seqNum, event]))
    return [...events.values()]
  }

  async agrees(log) {
    const wanted = new Map(log.map((event) => [event.seqNum, event]))
    await until(`${this.name} has the whole log`, () => this.log().at(-1)?.seqNum === log.at(-1).seqNum, {
      explain: () => this.#driver.tail(),
    })
    for (const event of this.log()) assert.deepEqual(event, wanted.get(event.seqNum))
    return this.log().length
  }
}

const openProgram = async (t, options) => new Program(t, { directory: await temporaryDirectory(t), ...options }).open()

for (const transport of ['ws', 'http']) {
  test(`a C program over ${transport} and LiveStore clients that edit at once end with one log`, { timeout }, async (t) => {
    const server = await startServer(t)
    const program = await openProgram(t, { server, name: 'cleo', transport })
    const clients = await openClients(t, ['anna', 'ben'], { server })
    program.createMany(30)
    await Promise.all(clients.map((client) => client.createMany(30)))
    await server.stop('SIGKILL')
    program.createMany(20)
    await clients[0].createMany(10)
    await server.start()
    const log = await converge(clients, { todoCount: 120 })
    assert.equal(await program.agrees(log), 120)
  })
}

test('a C program and a LiveStore client that edit offline, each over a restart of its own, end with one log', { timeout }, async (t) => {
  const server = await startServer(t)
  const directory = await temporaryDirectory(t)
  const program = await openProgram(t, { server, name: 'cleo', directory })
  const clients = await openClients(t, ['anna', 'ben'], { server })
  const id = await clients[0].create('tea')
  await program.agrees(await converge(clients, { todoCount: 1 }))

  await server.stop('SIGTERM')
  program.createMany(25)
  program.rename(id, 'coffee')
  await program.committed(26)
  await clients[1].createMany(25)
  await program.kill()
  await program.open()
  await server.start()

  const log = await converge(clients, { todoCount: 51 })
  assert.equal(clients[0].todos().find((todo) => todo.id === id).text, 'coffee')
  assert.ok((await program.agrees(log)) >= 51) // the rest was told before it was killed
  assert.equal(log.length, 52)
})
