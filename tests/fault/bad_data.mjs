// Data that cannot be used: the server says what is wrong, where and what to do, and ends with code 1. It never
// starts afresh beside what it cannot read, and never touches it.

import { chmodSync, cpSync, mkdirSync, openSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync, writeSync, closeSync } from 'node:fs'
import path from 'node:path'

import { within } from '../lib/runner.mjs'
import { makeDirectory, slowness, spawnServer, startServer } from '../lib/server.mjs'
import { openWsClient, pullAll } from '../lib/sync_cf.mjs'
import { assertChain } from './lib/journal.mjs'
import { lastSeqNum, plainEvents } from './lib/events.mjs'

const storeId = 'kept'
const databaseName = 'sluice.db'

/** Root may write anywhere; without this capability the modes count for it as for everybody. */
const asOrdinaryUser = process.getuid() === 0 ? ['setpriv', '--bounding-set=-dac_override', '--inh-caps=-dac_override'] : []

/** Starts a server that must refuse to run: with code 1, and one line that matches all of `patterns`. */
const assertRefusesToStart = async (t, options, ...patterns) => {
  const server = spawnServer(t, options)
  const { code, signal } = await within(10_000 * slowness, 'the server refuses to start', server.ended)
  server.expectEnd()
  const lines = server.errors.trimEnd().split('\n')
  const last = lines[lines.length - 1]
  if (code !== 1) throw new Error(`it ended with ${code ?? signal}, not 1: ${server.output}${server.errors}`)
  if (server.output.includes('listening')) throw new Error('it listened before it ended')
  for (const pattern of [/^sluice: /, ...patterns]) {
    if (!pattern.test(last)) throw new Error(`it should say ${pattern}, but says: ${server.errors}`)
  }
}

/** A data directory with `count` events, whose server has stopped in order (or was killed). */
const makeData = async (t, { count = 200, argsBytes = 3000, signal = 'SIGTERM' } = {}) => {
  const data = await makeDirectory(t)
  const server = await startServer(t, { data })
  const client = await openWsClient({ port: server.port, storeId })
  for (let head = 0; head < count; head += 20) {
    const { ok, error } = await client.push(plainEvents({ count: 20, parent: head, argsBytes }))
    if (!ok) throw new Error(JSON.stringify(error))
  }
  client.abort()
  server.kill(signal)
  await server.ended
  return data
}

const contents = (directory) =>
  readdirSync(directory)
    .filter((name) => name.startsWith(databaseName))
    .map((name) => [name, readFileSync(path.join(directory, name)).toString('base64')])

const overwrite = (file, at, bytes) => {
  const descriptor = openSync(file, 'r+')
  writeSync(descriptor, bytes, 0, bytes.length, at)
  closeSync(descriptor)
}

const assertAllThere = async (t, data) => {
  const server = await startServer(t, { data })
  const { events } = await pullAll({ port: server.port, storeId })
  assertChain(events, 0, 'what is left')
  if (events.length !== 200) throw new Error(`${events.length} events of 200 are left`)
  server.kill()
  await server.ended
}

const readOnlyEmpty = async (t) => {
  const data = path.join(await makeDirectory(t), 'data')
  mkdirSync(data)
  chmodSync(data, 0o500)
  await assertRefusesToStart(t, { data, wrap: asOrdinaryUser }, new RegExp(data), /[Pp]ermission denied/, /write access/)
}

const readOnlyParent = async (t) => {
  const parent = await makeDirectory(t)
  chmodSync(parent, 0o500)
  const data = path.join(parent, 'new')
  await assertRefusesToStart(t, { data, wrap: asOrdinaryUser }, new RegExp(data), /[Pp]ermission denied/, /write access/)
  chmodSync(parent, 0o700)
}

const readOnlyWithData = async (t, { signal, fileMode, directoryMode }) => {
  const data = await makeData(t, { signal })
  const files = readdirSync(data)
  for (const name of files) chmodSync(path.join(data, name), fileMode)
  chmodSync(data, directoryMode)
  const before = contents(data)
  await assertRefusesToStart(t, { data, wrap: asOrdinaryUser }, /write|writable|read-only|readonly|[Pp]ermission/, new RegExp(data))
  const after = contents(data)
  if (JSON.stringify(before) !== JSON.stringify(after)) throw new Error('it changed what it may not write')
  chmodSync(data, 0o700)
  for (const name of files) chmodSync(path.join(data, name), 0o600)
  await assertAllThere(t, data)
}

const notADirectory = async (t) => {
  const file = path.join(await makeDirectory(t), 'file')
  writeFileSync(file, 'not a directory')
  await assertRefusesToStart(t, { data: file }, new RegExp(file), /not a directory/, /choose another/)
  await assertRefusesToStart(t, { data: path.join(file, 'data') }, new RegExp(file), /is a file|[Nn]ot a directory/, /choose another/)
  if (readFileSync(file, 'utf8') !== 'not a directory') throw new Error('it changed the file')
}

const damagedHeader = async (t) => {
  const data = await makeData(t)
  const file = path.join(data, databaseName)
  overwrite(file, 0, Buffer.from('this was a database once'))
  const before = contents(data)
  await assertRefusesToStart(t, { data }, new RegExp(data), /damaged|not a database/, /restore/)
  if (JSON.stringify(before) !== JSON.stringify(contents(data))) throw new Error('it changed what it cannot read')
}

const otherFile = async (t) => {
  const data = await makeDirectory(t)
  const file = path.join(data, databaseName)
  writeFileSync(file, Buffer.alloc(100_000, 'a letter, not a log. '))
  await assertRefusesToStart(t, { data }, new RegExp(data), /damaged|not a database/, /restore/)
  if (!readFileSync(file, 'latin1').startsWith('a letter')) throw new Error('it changed the file')
}

const cutShort = async (t) => {
  const data = await makeData(t)
  const file = path.join(data, databaseName)
  truncateSync(file, Math.floor(statSync(file).size / 2 / 4096) * 4096)
  await assertEitherRefusesOrReports(t, data)
}

/** Damage further inside is met when it is read: by an error, never by a log with a hole and never by a crash. */
const assertEitherRefusesOrReports = async (t, data) => {
  const server = spawnServer(t, { data })
  const isUp = await server.listening().then(
    () => true,
    () => false,
  )
  server.expectEnd()
  if (!isUp) {
    if (!/damaged/.test(server.errors)) throw new Error(`it says: ${server.errors}`)
    const { code } = await server.ended
    if (code !== 1) throw new Error(`it ended with ${code}`)
    return 'refused'
  }
  const events = []
  const client = await openWsClient({ port: server.port, storeId })
  const pull = client.pull({ onPage: (page) => events.push(...page.events) })
  const outcome = await pull.ended
  assertChain(events, 0, 'what can be read')
  if (outcome.ok && events.length !== 200) throw new Error(`the pull ended well after ${events.length} of 200 events`)
  if (events.length > 0 && events.length < 200 && lastSeqNum(events) !== events.length) throw new Error('a hole')
  const other = await openWsClient({ port: server.port, storeId: 'another' })
  await other.ping()
  if (server.hasEnded) throw new Error(`it ended: ${server.errors}`)
  const { code } = await server.stop()
  if (code !== 0) throw new Error(`the stop ended with ${code}: ${server.errors}`)
  const sent = plainEvents({ count: events.length, parent: 0, argsBytes: 3000 })
  const isAltered = events.some(({ name, args }, index) => name !== sent[index].name || args !== sent[index].args)
  return isAltered ? 'altered' : outcome.ok ? 'unharmed' : 'reported'
}

const damagedPages = async (t) => {
  const { random } = t
  const original = await makeData(t)
  const pages = Math.floor(statSync(path.join(original, databaseName)).size / 4096)
  const outcomes = {}
  for (let i = 0; i < (t.rounds ?? 12); i++) {
    const data = path.join(await makeDirectory(t), 'copy')
    cpSync(original, data, { recursive: true })
    const noise = Buffer.alloc(random.pick([1, 20, 4096])).map(() => random.integer(0, 255))
    overwrite(path.join(data, databaseName), random.integer(4096, (pages - 2) * 4096), noise)
    const outcome = await assertEitherRefusesOrReports(t, data)
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  }
  t.say(`${JSON.stringify(outcomes)}`)
}

/** No room for as much as an empty database: the signal that this raises must not be the end of it. */
const noRoomAtAll = async (t) => {
  const data = await makeDirectory(t)
  await assertRefusesToStart(t, { data, wrap: ['prlimit', '--fsize=1024'] }, new RegExp(data), /no space left/, /ulimit -f/)
}

const heldByAnother = async (t) => {
  const data = await makeDirectory(t)
  const server = await startServer(t, { data })
  await assertRefusesToStart(t, { data }, new RegExp(data), new RegExp(`process ${server.pid} `), /another data directory/)
}

export const tests = [
  { name: 'a data directory that may not be written is refused with what to do about it', run: readOnlyEmpty },
  { name: 'a data directory that cannot be made is refused with what to do about it', run: readOnlyParent },
  {
    name: 'data that was made read-only is refused, and is all there when it is writable again',
    run: (t) => readOnlyWithData(t, { signal: 'SIGTERM', fileMode: 0o400, directoryMode: 0o500 }),
  },
  {
    name: 'data of a killed server that was made read-only is refused, and is all there when it is writable again',
    run: (t) => readOnlyWithData(t, { signal: 'SIGKILL', fileMode: 0o400, directoryMode: 0o500 }),
  },
  {
    name: 'data in a directory that was made read-only, its files writable, is refused',
    run: (t) => readOnlyWithData(t, { signal: 'SIGTERM', fileMode: 0o600, directoryMode: 0o500 }),
  },
  { name: 'a data path that is a file, or goes through one, is refused', run: notADirectory },
  { name: 'a database with a damaged header is refused and left as it is', run: damagedHeader },
  { name: 'a file of another kind in place of the database is refused and left as it is', run: otherFile },
  { name: 'a database that was cut short is refused, or what is missing is reported', run: cutShort },
  { name: 'damaged pages are reported to whom they concern, without holes and without a crash', run: damagedPages },
  { name: 'a limit on file sizes that an empty database exceeds is refused with what to do about it', run: noRoomAtAll },
  { name: 'a data directory that another server holds is refused with its process id', run: heldByAnother },
]
