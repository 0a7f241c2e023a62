// Peers that stop reading, or read and never acknowledge. What they do not take is not kept for them, nobody
// else notices them, and where they stop altogether they are cut; where they go on, they miss nothing.

import http from 'node:http'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

import { parseKeeping } from '../lib/raw_json.mjs'
import { until, within } from '../lib/runner.mjs'
import { makeDirectory, sanitizer, slowness, startServer } from '../lib/server.mjs'
import { openWsClient, pullRequest, readPages, syncPath } from '../lib/sync_cf.mjs'
import { lastSeqNum, plainEvents } from './lib/events.mjs'
import { assertChain } from './lib/journal.mjs'

const storeId = 'busy'
const batchEvents = 20
const argsBytes = 25_000
const batchBytes = batchEvents * argsBytes
const growthBytesMax = (64 << 20) * (sanitizer === undefined ? 1 : 4)
const windowChunks = 16

const megabytes = (bytes) => `${(bytes / (1 << 20)).toFixed(0)} MB`

/** That events are as plainEvents makes them, in one chain after `last`. Returns the new last. */
const assertPlain = (events, last, what) => {
  assertChain(events, last, what)
  const expected = plainEvents({ count: events.length, parent: last, argsBytes })
  events.forEach(({ args }, index) => {
    if (args !== expected[index].args) throw new Error(`${what}: the args of event ${events[index].seqNum} changed`)
  })
  return events.length === 0 ? last : lastSeqNum(events)
}

/**
 * Live pulls that get the same pages: the first to get a page reads it, and the others compare bytes, so that
 * twenty of them are no more work than one.
 */
class Audience {
  pages = []
  sentAt = new Map()
  latenciesMs = []

  read(index, bytes, last, what) {
    const payload = bytes.subarray(bytes.indexOf('"values"'))
    const known = this.pages[index]
    if (known?.after === last && known.payload.equals(payload)) return known.last
    const [{ events }] = readPages(parseKeeping(bytes.toString(), 'args', 'requestId').values)
    const page = { payload, after: last, last: assertPlain(events, last, what) }
    this.pages[index] ??= page
    return page.last
  }

  took(seqNum) {
    const sentAt = this.sentAt.get(seqNum)
    if (sentAt !== undefined) this.latenciesMs.push(performance.now() - sentAt)
  }
}

/** A live pull that takes everything, or, while its socket is paused, nothing. */
const follow = async (server, audience, { name, dialect, cursor }) => {
  const client = await openWsClient({ port: server.port, storeId, dialect })
  const follower = { client, head: cursor?.eventSequenceNumber ?? 0, pages: 0 }
  follower.pull = client.pull({
    live: true,
    cursor,
    onChunk: (bytes) => {
      try {
        follower.head = audience.read(follower.pages++, bytes, follower.head, name)
        audience.took(follower.head)
      } catch (error) {
        client.failure ??= error
        client.abort()
      }
    },
  })
  await until(`${name} has its first page`, () => follower.pages > 0 || client.failure)
  return follower
}

const assertWell = (followers) => {
  for (const { client } of followers) {
    if (client.failure !== undefined) throw client.failure
    if (client.socket.isClosed) throw new Error('a connection that did nothing wrong was closed')
  }
}

/** Pushes `bytes` in batches, one after the other, and watches the server's memory meanwhile. */
const pushMuch = async (server, audience, head, bytes, pusher) => {
  const client = pusher ?? (await openWsClient({ port: server.port, storeId }))
  let last = head
  let residentBytesMax = 0
  for (let pushed = 0; pushed < bytes; pushed += batchBytes) {
    const events = plainEvents({ count: batchEvents, parent: last, argsBytes })
    last = lastSeqNum(events)
    audience.sentAt.set(last, performance.now())
    const { ok, error } = await client.push(events)
    if (!ok) throw new Error(`refused: ${JSON.stringify(error)}`)
    residentBytesMax = Math.max(residentBytesMax, server.residentBytes())
  }
  await client.close()
  return { head: last, residentBytesMax }
}

const assertBounded = (before, most) => {
  if (most - before > growthBytesMax) throw new Error(`the server grew from ${megabytes(before)} to ${megabytes(most)}`)
}

const percentile = (numbers, share) => [...numbers].sort((a, b) => a - b)[Math.floor((numbers.length - 1) * share)]

const stopsAndGoesOn = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), flags: ['--stall-timeout', '10m'] })
  const audience = new Audience()
  const followers = []
  for (let i = 0; i < 20; i++) {
    followers.push(await follow(server, audience, { name: `follower ${i}`, dialect: i % 2 === 0 ? 'v3' : 'v4' }))
  }
  const stalled = await follow(server, new Audience(), { name: 'the one that stops' })
  const warm = await pushMuch(server, audience, 0, 2 * batchBytes)
  await until('all have the first events', () => [stalled, ...followers].every(({ head }) => head === warm.head))
  stalled.client.socket.pause()
  const before = server.residentBytes()
  const { head, residentBytesMax } = await pushMuch(server, audience, warm.head, 55 << 20)
  await until('the others have everything', () => followers.every((follower) => follower.head === head) || followers.find(({ client }) => client.failure))
  assertWell(followers)
  assertBounded(before, residentBytesMax)
  const [p50, p99, most] = [0.5, 0.99, 1].map((share) => percentile(audience.latenciesMs, share))
  if (p99 > 2000 * slowness) throw new Error(`live pages took up to ${p99.toFixed(0)} ms`)
  if (stalled.head === head) throw new Error('the one that stopped was not stopped')
  const missed = head - stalled.head
  stalled.client.socket.resume()
  await until('the one that stopped has everything', () => stalled.head === head || stalled.client.failure, { timeoutMs: 60_000 })
  assertWell([stalled])
  t.say(
    `20 live pulls: ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)}, at most ${most.toFixed(0)}; ` +
      `memory ${megabytes(before)} to ${megabytes(residentBytesMax)}; ${missed} events taken late`,
  )
}

/** Resolves to when the server has closed one of its sockets; a peer that does not read sees nothing. */
const untilCut = async (server) => {
  const sockets = server.sockets()
  await until('the server cuts it', () => server.sockets() < sockets, { timeoutMs: 60_000 * slowness })
  return performance.now()
}

const assertCutInTime = (stoppedAt, cutAt) => {
  const ms = cutAt - stoppedAt
  if (ms < stallMs * 0.9) throw new Error(`cut after only ${ms.toFixed(0)} ms`)
}

const stallMs = 1500

const neverReadsAgain = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), flags: ['--stall-timeout', `${stallMs}ms`] })
  const audience = new Audience()
  const well = await follow(server, audience, { name: 'the one that reads' })
  const stalled = await follow(server, new Audience(), { name: 'the one that stops' })
  const pusher = await openWsClient({ port: server.port, storeId })
  stalled.client.socket.pause()
  const stoppedAt = performance.now()
  const cut = untilCut(server)
  // Whoever pushes stays until it is cut: the one socket that goes is the one that does not read.
  const { head } = await pushMuch(server, audience, 0, 25 << 20, { push: (events) => pusher.push(events), close: () => cut })
  assertCutInTime(stoppedAt, await cut)
  await until('the other has everything', () => well.head === head || well.client.failure)
  stalled.client.socket.resume()
  await within(10_000, 'it sees that it was cut', stalled.client.closed)
  assertWell([well])
  // It resumes by its cursor, and what it had is not sent again.
  const backendId = JSON.parse(`{${/"backendId":"[^"]*"/.exec(audience.pages[0].payload.toString())[0]}}`).backendId
  const cursor = stalled.head === 0 ? undefined : { backendId, eventSequenceNumber: stalled.head }
  const again = await follow(server, new Audience(), { name: 'the one that comes back', cursor })
  await until('it has everything', () => again.head === head || again.client.failure)
  assertWell([again])
}

/** Stores `bytes` of events; returns the head. */
const fillStore = async (server, bytes) => {
  const { head } = await pushMuch(server, new Audience(), 0, bytes)
  return head
}

/** Starts an HTTP pull and stops reading after a megabyte. `rest()` reads on and resolves to all of it. */
const startHttpPull = async (server) => {
  const body = pullRequest({ id: 1, storeId, transport: 'http' })
  const request = http.request({
    host: '127.0.0.1',
    port: server.port,
    method: 'POST',
    path: syncPath(storeId, 'http'),
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    agent: false,
  })
  request.end(body)
  const [response] = await once(request, 'response')
  const pieces = []
  let bytes = 0
  const stopped = new Promise((resolve) => {
    response.on('data', (piece) => {
      pieces.push(piece)
      bytes += piece.length
      if (bytes > 1 << 20 && !response.isStopped) {
        response.isStopped = true
        response.pause()
        resolve()
      }
    })
  })
  await stopped
  const rest = async () => {
    const ended = once(response, 'end')
    response.resume()
    await ended
    return Buffer.concat(pieces).toString()
  }
  return { response, rest }
}

const httpStops = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), flags: ['--stall-timeout', '10m'] })
  const head = await fillStore(server, 30 << 20)
  const before = server.residentBytes()
  const pulls = []
  for (let i = 0; i < 5; i++) pulls.push(await startHttpPull(server))
  // The server answers others meanwhile; a hundred answers are time enough to read ahead, if it did.
  const other = await openWsClient({ port: server.port, storeId })
  for (let i = 0; i < 100; i++) await other.ping()
  assertBounded(before, server.residentBytes())
  for (const pull of pulls) {
    const messages = parseKeeping(await within(30_000 * slowness, 'the rest of the pull', pull.rest()), 'args')
    const events = messages.filter(({ _tag }) => _tag === 'Chunk').flatMap(({ values }) => readPages(values).flatMap((page) => page.events))
    if (assertPlain(events, 0, 'the HTTP pull') !== head) throw new Error('the HTTP pull ends early')
    if (messages.at(-1).exit._tag !== 'Success') throw new Error('the HTTP pull failed')
  }
}

const httpNeverReadsAgain = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), flags: ['--stall-timeout', `${stallMs}ms`] })
  await fillStore(server, 30 << 20)
  const { response, rest } = await startHttpPull(server)
  const stoppedAt = performance.now()
  assertCutInTime(stoppedAt, await untilCut(server))
  const outcome = await Promise.race([rest().then(() => 'ended'), once(response, 'error').then(() => 'cut')]).catch(() => 'cut')
  if (outcome !== 'cut' && response.complete) throw new Error('it was not cut')
}

/** A pull of a long log whose chunks are read and not acknowledged: a window of them, and no more. */
const neverAcknowledges = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), flags: ['--stall-timeout', `${stallMs}ms`] })
  await fillStore(server, 15 << 20)
  const client = await openWsClient({ port: server.port, storeId })
  let chunks = 0
  const pull = client.pull({ live: true, onChunk: () => chunks++ })
  pull.acks = false
  await until('the window is full', () => chunks === windowChunks)
  const fullAt = performance.now()
  const close = await within(30_000 * slowness, 'it is cut', client.closed)
  const cutMs = performance.now() - fullAt
  if (chunks !== windowChunks) throw new Error(`${chunks} chunks came without an acknowledgement`)
  if (close.code !== 1013 || !/acknowledged/.test(close.reason)) throw new Error(`closed with ${close.code} ${close.reason}`)
  if (cutMs < stallMs * 0.9 || cutMs > stallMs + 3000 * slowness) throw new Error(`cut after ${cutMs.toFixed(0)} ms`)
}

/** The same in the live stream; acknowledging in time, however late, keeps the connection. */
const acknowledgesLate = async (t) => {
  const server = await startServer(t, { data: await makeDirectory(t), flags: ['--stall-timeout', `${stallMs}ms`] })
  const audience = new Audience()
  const client = await openWsClient({ port: server.port, storeId })
  const pusher = await openWsClient({ port: server.port, storeId })
  let chunks = 0
  let head = 0
  const pull = client.pull({
    live: true,
    onChunk: (bytes) => {
      head = audience.read(chunks++, bytes, head, 'the live pull')
    },
  })
  pull.acks = false
  await until('the first page', () => chunks === 1)
  let last = 0
  for (let i = 0; i < 40; i++) {
    const events = plainEvents({ count: 1, parent: last, argsBytes })
    last = lastSeqNum(events)
    await pusher.push(events)
  }
  await pusher.ping()
  await client.ping()
  if (chunks !== windowChunks) throw new Error(`${chunks} chunks came without an acknowledgement`)
  for (let i = 0; head < last && i < 10; i++) {
    await delay(stallMs / 2) // half the time it may take
    const before = chunks
    for (let acks = 0; acks < 4; acks++) pull.ack()
    await until('more chunks', () => chunks > before || head === last)
  }
  if (head !== last) throw new Error(`the live pull has ${head} of ${last} events`)
  if (client.socket.isClosed) throw new Error('it was cut, though it acknowledged')
}

export const tests = [
  { name: 'a live pull that stops reading costs nobody else anything, and gets everything once when it goes on', run: stopsAndGoesOn },
  { name: 'a live pull that never reads again is cut after the stall timeout, and resumes by its cursor', run: neverReadsAgain },
  { name: 'an HTTP pull that stops reading is not read ahead for, and goes on where it stopped', run: httpStops },
  { name: 'an HTTP pull that never reads again is cut after the stall timeout', run: httpNeverReadsAgain },
  { name: 'a pull whose chunks are never acknowledged gets a window of them, and is cut', run: neverAcknowledges },
  { name: 'a live pull that acknowledges late, but in time, gets everything', run: acknowledgesLate },
]
