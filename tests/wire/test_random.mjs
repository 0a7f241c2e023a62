// Anything in any order: random conversations of several clients with one store, and real messages with
// random damage. Whatever happens, the log stays one chain, every live pull gets every event once and in
// order, and the server goes on. SLUICE_TEST_SEED chooses other ones.
import assert from 'node:assert/strict'
import test from 'node:test'
import { HttpClient, ask, syncTarget } from './lib/http.mjs'
import { startServer } from './lib/server.mjs'
import {
  Bystander,
  SyncSocket,
  chain,
  eventText,
  newStore,
  pullOverHttp,
  pullPayload,
  pushPayload,
  requestText,
} from './lib/sync.mjs'
import { OP, WsClient, buildFrame } from './lib/ws.mjs'

const SEED = Number(process.env.SLUICE_TEST_SEED ?? 1)
const server = await startServer({ 'log-level': 'error', 'pulls-per-connection-max': 4 })
const bystander = await Bystander.open(server)

function randomNumbers(seed) {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state >>> 8
  }
  return { below: (n) => next() % n, of: (list) => list[next() % list.length] }
}

// ---- conversations ----

// What every pull keeps to at any moment: ascending, without a gap in the chain, after its cursor.
function isInOrder(pull) {
  let last = pull.from
  for (const { seqNum, parentSeqNum } of pull.events) {
    assert.equal(parentSeqNum, last)
    assert.ok(seqNum > last)
    last = seqNum
  }
}

class Talker {
  constructor(storeId, random, world) {
    Object.assign(this, { storeId, random, world, socket: null, asked: [], pulls: [] })
  }

  async open() {
    this.socket?.close()
    this.pulls.forEach(isInOrder)
    this.asked = []
    this.pulls = []
    this.socket = await SyncSocket.open(server, this.storeId, { dialect: this.random.of(['v3', 'v4']) })
    this.socket.acknowledges = this.random.below(4) > 0
  }

  get isClosed() {
    return !this.socket || this.socket.ws.close !== null || this.socket.ws.wire.closed
  }

  pull() {
    const { random, world } = this
    const from = random.of([0, 0, world.head, random.below(world.head + 1)])
    const cursor = from > 0 || random.below(2) ? { backendId: world.backendId, seq: from } : null
    const pull = this.socket.pull({ live: random.below(3) > 0, cursor })
    pull.from = cursor ? from : 0
    this.asked.push(pull)
    this.pulls.push(pull)
  }

  push() {
    const { random, world } = this
    const parent = random.of([world.head, world.head, world.head, random.below(world.head + 2)])
    const args = random.of(['{}', '"é"', JSON.stringify('x'.repeat(random.below(20_000)))])
    const push = this.socket.push(chain(parent, 1 + random.below(5), { args, client: `c${random.below(3)}` }))
    this.asked.push(push)
    push.done().then(
      ({ ok, error }) => {
        world.head = Math.max(world.head, error?.minimumExpectedNum ?? (ok ? parent + 1 : 0))
      },
      () => {}, // its socket was closed
    )
  }

  step() {
    const { random, socket } = this
    const id = this.asked.length > 0 ? random.of(this.asked).id : socket.newId()
    const steps = [
      () => this.pull(),
      () => this.pull(),
      ...Array(6).fill(() => this.push()),
      () => socket.interrupt(id),
      () => socket.acknowledge(id),
      () => socket.send('{"_tag":"Ping"}'),
      () => socket.send('{"_tag":"Eof"}'),
      () => socket.send(random.of(['null', '{', '[]', '{"_tag":"Nope"}'])),
      () => socket.ws.sendFrame(OP.ping, 'x'),
      () => socket.ws.wire.socket.pause(),
      () => socket.ws.wire.socket.resume(),
      () => random.below(8) || socket.acknowledge(12345), // closes it
      () => random.below(8) || socket.ws.goodbye(),
      () => random.below(8) || socket.ws.wire.destroy(),
      () => random.below(8) || socket.pull({ id }), // closes it, if that still runs
      () => (socket.acknowledges = !socket.acknowledges),
      () => abandonPullOverHttp(this.storeId),
    ]
    random.of(steps)()
  }
}

async function abandonPullOverHttp(storeId) {
  const client = await HttpClient.connect(server)
  client.wire.socket.pause()
  client.send('POST', syncTarget(storeId), {
    body: requestText(1, 'SyncHttpRpc.Pull', pullPayload(storeId)),
  })
  setImmediate(() => client.close())
}

async function converse(seed) {
  const random = randomNumbers(seed)
  const storeId = newStore('random')
  const world = { head: 0, backendId: (await pullOverHttp(server, storeId)).chunks.backendId }
  const talkers = [1, 2, 3].map(() => new Talker(storeId, random, world))
  for (let step = 0; step < 250; step++) {
    const talker = random.of(talkers)
    if (talker.isClosed) {
      await talker.open()
    }
    talker.step()
    if (random.below(3) === 0) {
      await bystander.socket.ping() // some time for what is under way
    }
  }
  // One who does everything right sees it all, to the head, and stays there.
  const last = await SyncSocket.open(server, storeId)
  const pull = last.pull()
  await pull.until(() => pull.caughtUp)
  for (;;) {
    const { ok, error } = await last.push([eventText({ seq: pull.last + 1 })]).done()
    if (ok) {
      break
    }
    assert.equal(error._tag, 'ServerAheadError')
    assert.equal(error.minimumExpectedNum, pull.last, 'its pull has been brought there')
  }
  pull.from = 0
  isInOrder(pull)
  assert.deepEqual((await pullOverHttp(server, storeId)).chunks.events, pull.events)
  for (const talker of talkers) {
    talker.pulls.forEach(isInOrder)
    talker.socket?.close()
  }
  last.close()
}

for (let i = 0; i < 30; i++) {
  const seed = SEED * 1000 + i
  test(`a random conversation, seed ${seed}`, async () => {
    await converse(seed)
    await bystander.check()
  })
}

// ---- damage ----

const ALPHABET = Array.from('{}[]",:\\0123456789eE+-.truefalsn \n\0é').concat([
  '"_tag"',
  '\\u0000',
  '\\ud800',
  '""',
])

function damage(text, random) {
  let result = text
  for (let i = random.below(3); i >= 0; i--) {
    const at = random.below(result.length)
    const removed = random.of([0, 1, 1, random.below(20)])
    result = result.slice(0, at) + random.of([...ALPHABET, '', '']) + result.slice(at + removed)
  }
  return result
}

const messages = (storeId, prefix) => [
  requestText(1, `${prefix}.Push`, pushPayload(storeId, chain(0, 2, { args: '{"a":[1,"b"]}' }))),
  requestText(
    '1',
    `${prefix}.Pull`,
    pullPayload(storeId, { live: false, cursor: { backendId: 'x', seq: 1 } }),
  ),
  requestText(2, `${prefix}.Push`, pushPayload(storeId, [eventText({ seq: 1 })], 'backend')),
]

test('damaged messages over WebSocket: each is answered or closes, and the log stays a chain', async () => {
  const random = randomNumbers(SEED)
  const storeId = newStore('damaged')
  let ws = null
  for (let i = 0; i < 500; i++) {
    if (!ws || ws.close || ws.wire.closed) {
      ws = await WsClient.connect(server, syncTarget(storeId, 'ws'))
    }
    ws.sendText(damage(random.of(messages(storeId, 'SyncWsRpc')), random))
    ws.sendText('{"_tag":"Ping"}')
    const answered = () => ws.close || ws.wire.closed || ws.messages.some((text) => text.includes('"Pong"'))
    await ws.wire.until(answered, 'a Pong or a close', { evenClosed: true })
    ws.messages.length = 0
  }
  ws.destroy()
  const { chunks } = await pullOverHttp(server, storeId)
  isInOrder(Object.assign(chunks, { from: 0 }))
  await bystander.check()
})

test('damaged messages over HTTP: each is answered with an array', async () => {
  const random = randomNumbers(SEED + 1)
  const storeId = newStore('damaged')
  for (let i = 0; i < 300; i++) {
    const body = damage(random.of(messages(storeId, 'SyncHttpRpc')), random)
    const response = await ask(server, 'POST', syncTarget(storeId), { body })
    const answers = response.json()
    assert.ok(Array.isArray(answers) && answers.length > 0 && response.status < 500, body)
  }
  await bystander.check()
})

test('damaged frames: what follows is an answer or a close', async () => {
  const random = randomNumbers(SEED + 2)
  for (let i = 0; i < 300; i++) {
    const ws = await WsClient.connect(server, syncTarget('frames', 'ws'))
    const frames = [1, 2, 3].map(() =>
      buildFrame(random.of([1, 1, 0, 2, 8, 9, 10]), 'x'.repeat(random.below(300)), {
        fin: random.below(4) > 0,
      }),
    )
    const bytes = Buffer.concat(frames)
    for (let j = random.below(4); j > 0; j--) {
      bytes[random.below(bytes.length)] = random.below(256)
    }
    ws.sendBytes(bytes)
    ws.wire.socket.end()
    await ws.wire.untilClosed('the end after the end')
    assert.equal(ws.wire.failure, null, 'and what the server sent was well formed')
  }
  await bystander.check()
})

test('the server ends well after all of this', () => server.stop())
