// A disk that fills up, and is freed again, under a server that goes on. Two ways to have one: a small tmpfs
// with a ballast file on it (root may mount), and a limit on the size of files (everybody may set).

import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { ElectricClient, S2Client } from '../lib/doors.mjs'
import { until } from '../lib/runner.mjs'
import { makeDirectory, startServer } from '../lib/server.mjs'
import { openWsClient, pullAll } from '../lib/sync_cf.mjs'
import { lastSeqNum, plainEvents } from './lib/events.mjs'
import { assertChain, Journal } from './lib/journal.mjs'

const storeId = 'filling'
const ballastBytes = 8 << 20

const mountTmpfs = (directory) => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', directory], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** A data directory on a file system of 20 MB, 8 of which are ballast. Undefined where nobody may mount. */
const smallFileSystem = async (t) => {
  const directory = await makeDirectory(t)
  if (process.getuid() !== 0 || !mountTmpfs(directory)) return undefined
  t.after(() => execFileSync('umount', [directory]))
  const ballast = path.join(directory, 'ballast')
  writeFileSync(ballast, Buffer.alloc(ballastBytes, 1))
  const data = path.join(directory, 'data')
  mkdirSync(data)
  return { data, wrap: [], free: () => rmSync(ballast) }
}

/** A data directory in which no file may grow beyond 6 MB, until the server's limit is raised. */
const smallFiles = async (t) => ({
  data: await makeDirectory(t),
  wrap: ['prlimit', '--fsize=6291456:unlimited'],
  free: (server) => execFileSync('prlimit', ['--pid', String(server.pid), '--fsize=unlimited:unlimited']),
})

/** A client with a live pull, and what it has seen. */
const watch = async (server, journal) => {
  const client = await openWsClient({ port: server.port, storeId })
  const watcher = { client, head: 0 }
  watcher.pull = client.pull({
    live: true,
    onPage: ({ events, backendId }) => {
      assertChain(events, watcher.head, 'the live pull')
      journal.see(events, backendId)
      if (events.length > 0) watcher.head = lastSeqNum(events)
    },
  })
  return watcher
}

/** Pushes one batch and notes in the journal what became of it. Returns the refusal, if it was one. */
const pushBatch = async (client, journal, { count, argsBytes }) => {
  const mark = journal.newMark()
  const events = plainEvents({ count, parent: journal.head, argsBytes, mark })
  const batch = journal.send(mark, events)
  const { ok, error } = await client.push(events, { backendId: journal.backendId })
  if (ok) journal.acknowledge(batch)
  else journal.refuse(batch)
  return error
}

const assertRefusedAsFull = (error) => {
  if (error?._tag !== 'UnknownError' || !/no space left/.test(error.cause) || !/free space/.test(error.cause)) {
    throw new Error(`a push on a full disk was answered with ${JSON.stringify(error)}`)
  }
}

/** Pushes batches of less and less until not even the smallest is taken. */
const fill = async (client, journal) => {
  for (const argsBytes of [60_000, 6000, 600, 60]) {
    let error
    while (error === undefined) error = await pushBatch(client, journal, { count: 4, argsBytes })
    assertRefusedAsFull(error)
  }
  if (journal.acknowledgedEvents === 0) throw new Error('the disk was full from the start')
}

/** That the store is what the journal says: all that was acknowledged, nothing that was refused. */
const assertHolds = async (server, journal) => {
  const { events, backendId } = await pullAll({ port: server.port, storeId })
  journal.check(events, backendId)
}

const status = async (server, urlPath) => (await server.get(urlPath)).status

const untilReady = (server) => until('/readyz says that it is', async () => (await status(server, '/readyz')) === 200)

/** While it is full: pulls go on, the live one too, and only readiness says what is wrong. */
const assertReadable = async (server, watcher, journal) => {
  await assertHolds(server, journal)
  await watcher.client.ping()
  if (watcher.head !== journal.head) throw new Error(`the live pull is at ${watcher.head}, the head is ${journal.head}`)
  if ((await status(server, '/healthz')) !== 200) throw new Error('/healthz says that it is not healthy')
  const ready = await until('/readyz says that it is not', async () => {
    const answer = await server.get('/readyz')
    return answer.status === 503 && answer
  })
  if (!/no space left/.test(ready.body)) throw new Error(`/readyz: ${ready.body}`)
}

const doors = [S2Client, ElectricClient]
const eventsOfDoors = plainEvents({ count: 4, parent: 0, argsBytes: 6000 })

/** A push through each of the other doors: refused with 507 while it is full, and sent again, taken afterwards. */
const pushThroughDoors = async (server, isFull) => {
  for (const Client of doors) {
    const client = new Client({ port: server.port, storeId: Client.name })
    const { ok, error } = await client.push(eventsOfDoors)
    const asExpected = isFull ? error?.status === 507 && /no space left/.test(error.cause) : ok
    if (!asExpected) throw new Error(`a push through ${Client.name} was answered with ${JSON.stringify(error)}`)
    const { pages } = await client.pull()
    const count = pages.flatMap(({ events }) => events).length
    if (count !== (isFull ? 0 : eventsOfDoors.length)) throw new Error(`${count} events through ${Client.name}`)
    client.close()
  }
}

/** After the space is there again: pushes, the live pull and readiness, all without a restart. */
const assertRecovers = async (server, client, watcher, journal) => {
  const error = await pushBatch(client, journal, { count: 20, argsBytes: 20_000 })
  if (error !== undefined) throw new Error(`refused though there is space again: ${JSON.stringify(error)}`)
  await until('the live pull has what was pushed', () => watcher.head === journal.head)
  await untilReady(server)
  await assertHolds(server, journal)
}

const fillAndFree = async (t, disk) => {
  const { data, wrap } = disk
  const journal = new Journal(storeId)
  const server = await startServer(t, { data, wrap })
  await untilReady(server)
  const watcher = await watch(server, journal)
  const client = await openWsClient({ port: server.port, storeId })
  await fill(client, journal)
  t.say(`full after ${journal.acknowledgedEvents} events`)
  await assertReadable(server, watcher, journal)
  await pushThroughDoors(server, true)
  disk.free(server)
  await assertRecovers(server, client, watcher, journal)
  await pushThroughDoors(server, false)
  const { code } = await server.stop()
  if (code !== 0) throw new Error(`the stop ended with ${code}: ${server.errors}`)
  await assertHolds(await startServer(t, { data }), journal)
}

/** The server dies on the full disk; it starts there again, serves what is there, and pushes wait for space. */
const restartWhileFull = async (t, disk) => {
  const { data, wrap } = disk
  const journal = new Journal(storeId)
  const server = await startServer(t, { data, wrap })
  await fill(await openWsClient({ port: server.port, storeId }), journal)
  server.kill('SIGKILL')
  await server.ended
  const again = await startServer(t, { data, wrap })
  await assertHolds(again, journal)
  const watcher = await watch(again, journal)
  const client = await openWsClient({ port: again.port, storeId })
  await until('the live pull has all', () => watcher.head === journal.head)
  assertRefusedAsFull(await pushBatch(client, journal, { count: 1, argsBytes: 900_000 }))
  disk.free(again)
  await assertRecovers(again, client, watcher, journal)
}

/** Asked to stop while it is full, it ends in order though the write-ahead log cannot be copied; nothing is lost. */
const stopWhileFull = async (t, disk) => {
  const { data, wrap } = disk
  const journal = new Journal(storeId)
  const server = await startServer(t, { data, wrap })
  await fill(await openWsClient({ port: server.port, storeId }), journal)
  const { code, signal } = await server.stop()
  if (code !== 0) throw new Error(`the stop ended with ${code ?? signal}: ${server.errors}`)
  await assertHolds(await startServer(t, { data, wrap }), journal)
}

const onSmallFileSystem = (run) => async (t) => {
  const disk = await smallFileSystem(t)
  if (disk !== undefined) return run(t, disk)
  t.say('only root can mount a small file system: the limit on file sizes stands for it')
  return run(t, await smallFiles(t))
}

export const tests = [
  {
    name: 'on a full disk pushes are refused and pulls go on; freed, it takes pushes again without a restart',
    run: onSmallFileSystem(fillAndFree),
  },
  {
    name: 'a limit on file sizes is a full disk, and raising it frees it',
    run: async (t) => fillAndFree(t, await smallFiles(t)),
  },
  { name: 'a server that died on a full disk starts there again and serves pulls', run: onSmallFileSystem(restartWhileFull) },
  { name: 'a server that is stopped on a full disk ends in order and loses nothing', run: onSmallFileSystem(stopWhileFull) },
  { name: 'a server that is stopped at a limit on file sizes ends in order and loses nothing', run: async (t) => stopWhileFull(t, await smallFiles(t)) },
]
