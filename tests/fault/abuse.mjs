// Two hundred peers at a time that come and break off, at any point of what a peer can do. Two others sync all
// the while and notice nothing; afterwards the server holds what it held before.

import { execFileSync } from 'node:child_process'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import path from 'node:path'
import { Duplex } from 'node:stream'
import tls from 'node:tls'

import { ElectricClient } from '../lib/doors.mjs'
import { until } from '../lib/runner.mjs'
import { makeDirectory, sanitizer, slowness, startServer } from '../lib/server.mjs'
import { encodeEvent, openWsClient, pullAll, pullRequest, pushRequest, syncPath } from '../lib/sync_cf.mjs'
import { encodeFrame, encodeHandshake } from '../lib/websocket.mjs'
import { plainEvents, randomEvents } from './lib/events.mjs'
import { Journal } from './lib/journal.mjs'
import { WsPusher } from './lib/pusher.mjs'

const storeId = 'abused'
const connectionsPerRound = 200
const atOnce = 40
/** The allocator's peaks differ from round to round by some megabytes; a page for each connection is 50. */
const growthBytesMax = (16 << 20) * (sanitizer === undefined ? 1 : 8)

/** A raw connection. `ended` resolves when it is gone, whoever ended it. */
const connect = (port) =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      socket.resume()
      const ended = new Promise((gone) => socket.on('close', gone))
      resolve({ socket, ended, firstBytes: new Promise((came) => socket.once('data', came)) })
    })
  })

/** How a connection ends: with a reset, with an orderly end, or half closed and never heard of again. */
const endings = [
  (socket) => socket.resetAndDestroy(),
  (socket) => socket.destroy(),
  (socket) => socket.end(),
]

const handshake = (port) => encodeHandshake({ host: `127.0.0.1:${port}`, path: syncPath(storeId, 'ws') }).bytes

const cut = (random, bytes) => bytes.subarray(0, random.integer(1, bytes.length - 1))

const openSocket = async (port) => {
  const connection = await connect(port)
  connection.socket.write(handshake(port))
  await Promise.race([connection.firstBytes, connection.ended])
  return connection
}

/** A push that the log takes or refuses: both happen, as others push to the same store. */
const aPush = (random, id) => {
  const parent = random.chance(0.5) ? 0 : random.integer(0, 500)
  const count = random.integer(1, 50)
  const events = random.chance(0.5)
    ? plainEvents({ count, parent, argsBytes: random.integer(20, 8000) })
    : randomEvents(random, { count, parent, clientId: 'abuser', mark: 'm' })
  return encodeFrame(pushRequest({ id, storeId, events, dialect: random.pick(['v3', 'v4']) }))
}

const aPull = (random, id) =>
  encodeFrame(pullRequest({ id, storeId, live: random.chance(0.7), dialect: random.pick(['v3', 'v4']) }))

/** What each kind does until it breaks off; returns its connection. */
const kinds = {
  connectsOnly: (random, port) => connect(port),

  breaksOffInTheHandshake: async (random, port) => {
    const connection = await connect(port)
    connection.socket.write(cut(random, handshake(port)))
    return connection
  },

  breaksOffInAFrame: async (random, port) => {
    const connection = await openSocket(port)
    connection.socket.write(cut(random, aPush(random, 1)))
    return connection
  },

  breaksOffAfterPushes: async (random, port) => {
    const connection = await openSocket(port)
    for (let id = 1; id <= random.integer(1, 40); id++) connection.socket.write(aPush(random, id))
    return connection
  },

  breaksOffWithPulls: async (random, port) => {
    const connection = await openSocket(port)
    if (random.chance(0.5)) connection.socket.pause()
    for (let id = 1; id <= random.integer(1, 14); id++) connection.socket.write(aPull(random, id))
    connection.socket.write(aPush(random, 100))
    if (random.chance(0.5)) await Promise.race([connection.ended, new Promise(setImmediate)])
    return connection
  },

  sendsNoise: async (random, port) => {
    const connection = random.chance(0.5) ? await connect(port) : await openSocket(port)
    connection.socket.write(Buffer.from(Array.from({ length: random.integer(1, 3000) }, () => random.integer(0, 255))))
    return connection
  },

  breaksOffInABody: async (random, port) => {
    const connection = await connect(port)
    const body = pushRequest({ id: 1, storeId, events: plainEvents({ count: 30, parent: 0, argsBytes: 5000 }), transport: 'http' })
    const head = `POST ${syncPath(storeId, 'http')} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
    connection.socket.write(cut(random, Buffer.from(head + body)))
    return connection
  },

  breaksOffInAnAnswer: async (random, port) => {
    const connection = await connect(port)
    const requests = []
    for (let i = 0; i < random.integer(1, 5); i++) {
      const body = pullRequest({ id: 1, storeId, transport: 'http' })
      requests.push(`POST ${syncPath(storeId, 'http')} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    }
    if (random.chance(0.5)) connection.socket.pause()
    connection.socket.write(requests.join(''))
    if (random.chance(0.5)) await Promise.race([connection.firstBytes, connection.ended, new Promise(setImmediate)])
    return connection
  },
}

const get = (path, args) => `GET ${path}?args=${encodeURIComponent(JSON.stringify(args))} HTTP/1.1\r\nHost: x\r\n\r\n`

/** A request, and now and then more of them behind it; whose answers are read, or not. */
const askAndBreakOff = async (random, port, request) => {
  const connection = await connect(port)
  if (random.chance(0.3)) connection.socket.pause()
  connection.socket.write(request.repeat(random.chance(0.5) ? 1 : random.integer(2, 5)))
  if (random.chance(0.5)) await Promise.race([connection.firstBytes, connection.ended, new Promise(setImmediate)])
  return connection
}

/** S2 and Electric. Who only half closes a live stream still reads it, for ever, which is no breaking off. */
const doorKinds = {
  breaksOffInAStream: async (random, port) => {
    const live = random.chance(0.7)
    const s2SeqNum = random.chance(0.5) ? 'from-start' : random.integer(0, 600)
    const connection = await askAndBreakOff(random, port, get('/s2', { storeId, s2SeqNum, live }))
    return { ...connection, endings: live ? endings.slice(0, 2) : endings }
  },

  breaksOffInAPoll: async (random, port) => {
    const client = new ElectricClient({ port, storeId, keepAlive: false })
    await client.pull()
    client.close()
    const handle = { _tag: 'Some', value: client.place }
    return askAndBreakOff(random, port, get('/electric', { storeId, handle, live: true }))
  },

  breaksOffInAPush: async (random, port) => {
    const connection = await connect(port)
    const events = plainEvents({ count: random.integer(1, 50), parent: random.integer(0, 5), argsBytes: 2000 })
    const body = `{"storeId":"${storeId}","batch":[${events.map(encodeEvent).join(',')}]}`
    const head = `POST ${random.pick(['/s2', '/electric'])} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`
    const bytes = Buffer.from(head + body)
    connection.socket.write(random.chance(0.5) ? bytes : cut(random, bytes))
    return connection
  },
}

const abuseOnce = async (random, port, choices) => {
  const { socket, ended, endings: its = endings } = await random.pick(choices)(random, port)
  if (random.chance(0.3)) await Promise.race([ended, new Promise(setImmediate)])
  random.pick(its)(socket)
  if (!socket.destroyed) {
    socket.resume() // to see the end that the server answers ours with
    await ended
  }
}

/** One round of connections, some of them at once. */
const abuse = async (random, port, choices) => {
  let left = connectionsPerRound
  const worker = async () => {
    while (left-- > 0) await abuseOnce(random, port, choices)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** What must be given back when everybody is gone. */
const settle = async (server, descriptors) => {
  await until(`the server has ${descriptors} descriptors again`, () => server.descriptors() === descriptors, {
    timeoutMs: 10_000 * slowness,
  }).catch((error) => {
    throw new Error(`${error.message}; it has ${server.descriptors()}`)
  })
}

/** Fills the database's page caches, so that what grows after this is something else. */
const fillCaches = async (server) => {
  const client = await openWsClient({ port: server.port, storeId: 'large' })
  for (let head = 0; head < 3000; head += 100) {
    const { ok, error } = await client.push(plainEvents({ count: 100, parent: head, argsBytes: 15_000 }))
    if (!ok) throw new Error(JSON.stringify(error))
  }
  for (let i = 0; i < 3; i++) await client.pull({ onChunk: () => {} }).ended
  await client.close()
}

const roundsByDefault = 4

/** The first rounds fill the allocator's arenas; what grows after that, grows for ever. */
const assertStable = (t, residentBytes) => {
  const growth = Math.min(...residentBytes.slice(-2)) - Math.max(...residentBytes.slice(0, 2))
  const inMegabytes = residentBytes.map((bytes) => (bytes / (1 << 20)).toFixed(1))
  t.say(`${residentBytes.length} rounds of ${connectionsPerRound}; memory ${inMegabytes.join(', ')} MB`)
  if (growth > growthBytesMax) throw new Error(`the server grew by ${(growth / (1 << 20)).toFixed(1)} MB`)
}

const disturbNobody = async (t, choices, flags = []) => {
  const { random } = t
  const data = await makeDirectory(t)
  const server = await startServer(t, { data, flags })
  await server.get('/healthz')
  http.globalAgent.destroy()
  const journal = new Journal('well behaved')
  const pushers = ['one', 'two'].map((name) => new WsPusher({ journal, random, name }))
  await fillCaches(server)
  const running = Promise.all(pushers.map((pusher) => pusher.run(server.port)))
  await Promise.race([running, until('both have pushed', () => pushers.every(({ acknowledged }) => acknowledged > 3))])
  const descriptors = server.descriptors()
  const residentBytes = []
  for (let round = 0; round < (t.rounds ?? roundsByDefault); round++) {
    const before = pushers.map(({ acknowledged }) => acknowledged)
    await Promise.race([abuse(random, server.port, choices), running])
    await settle(server, descriptors)
    await Promise.race([running, until('both push on', () => pushers.every(({ acknowledged }, i) => acknowledged > before[i]))])
    residentBytes.push(server.residentBytes())
  }
  for (const pusher of pushers) pusher.stop()
  await running
  if (pushers.some(({ outstanding }) => outstanding.length > 0)) throw new Error('a well-behaved client was cut off')
  const { events, backendId } = await pullAll({ port: server.port, storeId: journal.storeId })
  journal.check(events, backendId)
  t.say(`${journal.acknowledgedEvents} events of the others acknowledged`)
  assertStable(t, residentBytes)
  const { code } = await server.stop()
  if (code !== 0) throw new Error(`the stop ended with ${code}: ${server.errors}`)
}

/**
 * A raw connection and TLS on it. The two are joined by hand, so that the raw one can be reset and written to
 * under TLS, which node's own TLS sockets do not allow. `ready` resolves with the handshake, or at the end.
 */
const connectTls = async (port) => {
  const { socket, ended } = await connect(port)
  const joint = new Duplex({ read: () => {}, write: (bytes, _, done) => (socket.destroyed ? done() : socket.write(bytes, done)) })
  socket.on('data', (bytes) => joint.push(bytes))
  const secure = tls.connect({ socket: joint, rejectUnauthorized: false })
  joint.on('error', () => {})
  secure.on('error', () => {})
  secure.resume()
  const ready = Promise.race([ended, new Promise((done) => secure.once('secureConnect', done))])
  return { socket, ended, secure, ready }
}

/** Breaking off with TLS in between; without it too, as the port is open to everyone. */
const tlsKinds = {
  connectsOnly: kinds.connectsOnly,
  sendsNoise: kinds.sendsNoise,
  speaksPlainly: kinds.breaksOffInABody,

  breaksOffInTheTlsHandshake: async (random, port) => {
    const connection = await connectTls(port)
    for (let turns = random.integer(0, 6); turns > 0; turns--) await new Promise(setImmediate)
    return connection
  },

  breaksOffInTheHandshake: async (random, port) => {
    const connection = await connectTls(port)
    await connection.ready
    connection.secure.write(cut(random, handshake(port)))
    return connection
  },

  breaksOffWithPulls: async (random, port) => {
    const connection = await connectTls(port)
    await connection.ready
    connection.secure.write(handshake(port))
    if (random.chance(0.5)) connection.socket.pause()
    for (let id = 1; id <= random.integer(1, 14); id++) connection.secure.write(aPull(random, id))
    connection.secure.write(aPush(random, 100))
    return connection
  },

  breaksOffInARecord: async (random, port) => {
    const connection = await connectTls(port)
    await connection.ready
    // The head of a record of 16 kB, and less than that of it.
    const start = Buffer.concat([Buffer.from([0x17, 3, 3, 0x40, 0]), Buffer.alloc(random.integer(0, 5000), 7)])
    connection.socket.write(start)
    return connection
  },
}

const overTls = async (t) => {
  const directory = await makeDirectory(t)
  const cert = path.join(directory, 'cert.pem')
  const key = path.join(directory, 'key.pem')
  const subject = ['-subj', '/CN=localhost', '-days', '1', '-nodes']
  const keyKind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  execFileSync('openssl', ['req', '-x509', ...keyKind, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' })
  const server = await startServer(t, { data: path.join(directory, 'data'), flags: ['--tls-cert', cert, '--tls-key', key] })
  const isWell = () =>
    new Promise((resolve, reject) => {
      const request = https.get({ host: '127.0.0.1', port: server.port, path: '/readyz', agent: false, rejectUnauthorized: false })
      request.on('error', reject)
      request.on('response', (response) => response.resume().on('end', () => resolve(response.statusCode === 200)))
    })
  const sockets = server.sockets()
  await until('it is ready', isWell)
  await abuse(t.random, server.port, Object.values(tlsKinds)) // opens what the database keeps open
  await until('nobody is there', () => server.sockets() === sockets, { timeoutMs: 10_000 * slowness })
  const descriptors = server.descriptors()
  const residentBytes = []
  for (let round = 0; round < (t.rounds ?? roundsByDefault); round++) {
    await abuse(t.random, server.port, Object.values(tlsKinds))
    await settle(server, descriptors)
    await until('it is ready', isWell)
    residentBytes.push(server.residentBytes())
  }
  assertStable(t, residentBytes)
  const { code } = await server.stop()
  if (code !== 0) throw new Error(`the stop ended with ${code}: ${server.errors}`)
}

/** More connections than the process may have descriptors: those that find none end, and nothing else does. */
const outOfDescriptors = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), wrap: ['prlimit', '--nofile=64:64'] })
  const journal = new Journal(storeId)
  const pusher = new WsPusher({ journal, random: t.random, name: 'the one that was there before' })
  const running = pusher.run(server.port)
  await until('some pushes', () => pusher.acknowledged > 10)
  const descriptors = server.descriptors()
  let ended = 0
  const crowd = []
  for (let i = 0; i < 100; i++) {
    const peer = await connect(server.port)
    void peer.ended.then(() => ended++)
    crowd.push(peer)
  }
  await until('those that find no descriptor end', () => ended >= 100 - 64)
  const before = pusher.acknowledged
  await until('more pushes', () => pusher.acknowledged > before + 10)
  for (const { socket } of crowd) socket.destroy()
  await until('the crowd is gone', () => server.descriptors() <= descriptors)
  const { status } = await server.get('/readyz')
  if (status !== 200) throw new Error(`/readyz: ${status}`)
  pusher.stop()
  await running
  const { events, backendId } = await pullAll({ port: server.port, storeId })
  journal.check(events, backendId)
}

export const tests = [
  { name: 'with more connections than descriptors the others go on, and so does everything afterwards', run: outOfDescriptors },
  { name: 'hundreds of peers that break off anywhere disturb nobody and leave nothing behind', run: (t) => disturbNobody(t, Object.values(kinds)) },
  {
    name: 'hundreds of peers that break off anywhere over S2 and Electric disturb nobody and leave nothing behind',
    // That somebody is gone is noticed by the next ping, or the end of the poll.
    run: (t) => disturbNobody(t, Object.values(doorKinds), ['--event-stream-ping-interval', '200ms', '--long-poll-timeout', '200ms']),
  },
  { name: 'hundreds of peers that break off anywhere in TLS leave nothing behind', run: overTls },
]
