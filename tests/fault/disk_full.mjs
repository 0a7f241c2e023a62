// A disk that fills up, and is freed again, under a server that goes on. Two ways to have one: a small tmpfs
// with a ballast file on it (root may mount), and a limit on the size of files (everybody may set).

import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

import { until } from '../lib/runner.mjs'
import { makeDirectory, startServer } from '../lib/server.mjs'
import { openWsClient, pullAll } from '../lib/sync_cf.mjs'
import { lastSeqNum, plainEvents } from './lib/events.mjs'
import { assertChain } from './lib/journal.mjs'

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
const watch = async (server) => {
  const client = await openWsClient({ port: server.port, storeId })
  const watcher = { client, events: [] }
  watcher.pull = client.pull({ live: true, onPage: (page) => watcher.events.push(...page.events) })
  return watcher
}

const assertRefusedAsFull = (error) => {
  const text = error.cause ?? ''
  if (error._tag !== 'UnknownError' || !/no space left/.test(text) || !/free space/.test(text)) {
    throw new Error(`a push on a full disk was refused with ${JSON.stringify(error)}`)
  }
}

/** Pushes batches of less and less until not even the smallest is taken. Returns the head and the refused. */
const fill = async (client) => {
  let head = 0
  let refusals = 0
  for (const argsBytes of [60_000, 6000, 600, 60]) {
    for (let full = false; !full; ) {
      const events = plainEvents({ count: 4, parent: head, argsBytes })
      const { ok, error } = await client.push(events)
      if (ok) {
        head = lastSeqNum(events)
      } else {
        assertRefusedAsFull(error)
        refusals++
        full = true
      }
    }
  }
  return { head, refusals }
}

const status = async (server, urlPath) => (await server.get(urlPath)).status

const assertHolds = async (server, head, what) => {
  const { events } = await pullAll({ port: server.port, storeId })
  assertChain(events, 0, what)
  if (events.length !== head || lastSeqNum(events) !== head) {
    throw new Error(`${what}: ${events.length} events up to ${lastSeqNum(events)}, expected ${head}`)
  }
  for (const event of plainEvents({ count: 1, parent: head - 1, argsBytes: 60 })) {
    if (event.parentSeqNum !== events[events.length - 1].parentSeqNum) throw new Error(`${what}: a wrong last event`)
  }
}

/** Pulls go on while it is full: a whole one, one over HTTP's kin, and the live one that was there before. */
const assertReadable = async (server, watcher, head) => {
  await assertHolds(server, head, 'while the disk is full')
  await watcher.client.ping()
  if (watcher.events.length !== head) throw new Error(`the live pull has ${watcher.events.length} of ${head} events`)
  const health = await server.get('/healthz')
  if (health.status !== 200) throw new Error(`/healthz: ${health.status}`)
  const ready = await until('/readyz says that it is not', async () => {
    const answer = await server.get('/readyz')
    return answer.status === 503 && answer
  })
  if (!/no space left/.test(ready.body)) throw new Error(`/readyz: ${ready.body}`)
}

/** After the space is there again: pushes, the live pull and readiness, all without a restart. */
const assertRecovers = async (server, client, watcher, head) => {
  const events = plainEvents({ count: 20, parent: head, argsBytes: 20_000, mark: 'after' })
  const { ok, error } = await client.push(events)
  if (!ok) throw new Error(`refused though there is space again: ${JSON.stringify(error)}`)
  const newHead = lastSeqNum(events)
  await until('the live pull has what was pushed', () => watcher.events.length === newHead)
  await until('/readyz says that it is', async () => (await status(server, '/readyz')) === 200)
  assertChain(watcher.events, 0, 'the live pull')
  await assertHolds(server, newHead, 'after the disk was freed')
  return newHead
}

const fillAndFree = async (t, disk) => {
  const { data, wrap } = disk
  const server = await startServer(t, { data, wrap })
  await until('/readyz says that it is', async () => (await status(server, '/readyz')) === 200)
  const watcher = await watch(server)
  const client = await openWsClient({ port: server.port, storeId })
  const { head, refusals } = await fill(client)
  await assertReadable(server, watcher, head)
  disk.free(server)
  const newHead = await assertRecovers(server, client, watcher, head)
  const { code } = await server.stop()
  if (code !== 0) throw new Error(`the stop ended with ${code}: ${server.errors}`)
  const again = await startServer(t, { data })
  await assertHolds(again, newHead, 'after the restart')
  t.say(`full after ${head} events, ${refusals} pushes refused`)
}

/** The server dies on the full disk; it starts there again, serves what is there, and pushes wait for space. */
const restartWhileFull = async (t, disk) => {
  const { data, wrap } = disk
  const server = await startServer(t, { data, wrap })
  const { head } = await fill(await openWsClient({ port: server.port, storeId }))
  server.kill('SIGKILL')
  await server.ended
  const again = await startServer(t, { data, wrap })
  await assertHolds(again, head, 'restarted on a full disk')
  const watcher = await watch(again)
  const client = await openWsClient({ port: again.port, storeId })
  await until('the live pull has all', () => watcher.events.length === head)
  const { ok, error } = await client.push(plainEvents({ count: 1, parent: head, argsBytes: 900_000 }))
  if (ok) throw new Error('a push of 900 kB went onto a full disk')
  assertRefusedAsFull(error)
  disk.free(again)
  await assertRecovers(again, client, watcher, head)
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
]
