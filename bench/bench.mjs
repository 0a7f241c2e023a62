// What bench/run prints. In each round the server and SQLite alone are measured one after the other, and
// a ratio is one round's; shown are the medians of the rounds.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { cpuSeconds, open, residentBytes, startServer } from './load.mjs'

const build = path.resolve(process.argv[2])
const seconds = Number(process.env.BENCH_SECONDS ?? 3)
const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const idlePulls = Number(process.env.BENCH_PULLS ?? 5000)
const args = JSON.stringify({ id: '0123456789abcdef0123', text: 'water the plants, feed the cat and call the plumber' })

const directory = mkdtempSync(path.join(build, 'bench-data-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
const scratch = () => mkdtempSync(path.join(directory, 'run-'))
const start = (data) => startServer(path.join(build, 'sluice'), data)

/** Bytes that the server holds for each live pull of an empty store, each on a WebSocket of its own. */
const measureIdle = async () => {
  const server = await start(':memory:')
  const before = residentBytes(server.pid)
  const payload = { storeId: 'idle', live: true, cursor: { _tag: 'None' } }
  const openOne = async () => {
    const socket = await open(server.port, 'idle')
    const page = new Promise((resolve) => (socket.onMessage = resolve))
    socket.sendText(JSON.stringify({ _tag: 'Request', id: '1', tag: 'SyncWsRpc.Pull', payload }))
    await page
    socket.sendText('{"_tag":"Ack","requestId":"1"}')
  }
  for (let i = 0; i < idlePulls; i += 50) await Promise.all(Array.from({ length: 50 }, openOne))
  await delay(1000) // the last acknowledgements
  const bytes = (residentBytes(server.pid) - before) / idlePulls
  await server.stop()
  return bytes
}

/** Pushes one batch after the other, for ever. */
const pushOn = (socket, storeId, events, counts) => {
  let head = 0
  const event = () =>
    `{"name":"v1.TodoCreated","args":${args},"seqNum":${head + 1},"parentSeqNum":${head++},` +
    '"clientId":"client","sessionId":"session"}'
  const next = () =>
    socket.sendText(
      `{"_tag":"Request","id":"${head}","tag":"SyncWsRpc.Push","payload":{"storeId":"${storeId}",` +
        `"batch":[${Array.from({ length: events }, event).join()}],"backendId":{"_tag":"None"}}}`,
    )
  socket.onMessage = (message) => {
    if (!message.includes('"Success"')) throw new Error(message.toString())
    counts.pushes++
    next()
  }
  next()
}

const measureServer = async ({ stores, events }) => {
  const data = scratch()
  const server = await start(data)
  const counts = { pushes: 0 }
  for (let i = 0; i < stores; i++) pushOn(await open(server.port, `bench-${i}`), `bench-${i}`, events, counts)
  await delay(500)
  const now = () => ({ at: Date.now(), ...counts, load: cpuSeconds(process.pid), cpu: cpuSeconds(server.pid) })
  const before = now()
  await delay(seconds * 1000)
  const after = now()
  const a = (key) => ((after[key] - before[key]) * 1000) / (after.at - before.at) // a second
  await server.stop()
  // All events of a transaction have its time; two transactions in one millisecond count as one.
  const sql = `SELECT count(DISTINCT created_at) FROM event WHERE created_at BETWEEN ${before.at} AND ${after.at}`
  const transactions = Number(execFileSync('sqlite3', ['-readonly', path.join(data, 'sluice.db'), sql]))
  const group = Math.min(stores, Math.max(1, Math.round((after.pushes - before.pushes) / transactions)))
  return { sluice: a('pushes') * events, group, load: a('load'), cpu: a('cpu') }
}

const measureSqlite = ({ stores, events }, group) => {
  const words = [path.join(scratch(), 'sluice.db'), stores, events, group, seconds, args]
  return Number(execFileSync(path.join(build, 'bench/bench_sqlite'), words.map(String)))
}

const show = (number) => Math.round(number).toLocaleString('en')
const percent = (share) => `${Math.round(share * 100)} %${share > 0.8 ? ' *' : ''}`
const printRow = (cells) => console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(34) : cell.padStart(13))).join(''))

const printSpeed = async (name, work) => {
  const results = []
  for (let round = 0; round < rounds; round++) {
    const server = await measureServer(work)
    const same = measureSqlite(work, server.group)
    const best = measureSqlite(work, work.stores)
    results.push({ ...server, same, best, toSame: server.sluice / same, toBest: server.sluice / best })
  }
  const of = (key) => results.map((result) => result[key]).sort((a, b) => a - b)[Math.floor(rounds / 2)]
  const ratios = [show(of('same')), of('toSame').toFixed(2), show(of('best')), of('toBest').toFixed(2)]
  printRow([name, show(of('sluice')), show(of('group')), ...ratios, percent(of('cpu')).replace(' *', ''), percent(of('load'))])
}

console.log(`${cpus().length} × ${cpus()[0].model}, Node ${process.versions.node}; medians of ${rounds} rounds of ${seconds} s\n`)
console.log(`memory of an idle live pull: ${show(await measureIdle())} bytes of the server, of ${show(idlePulls)} pulls\n`)
printRow(['durable, over WebSocket', 'Sluice', 'group', 'SQLite same', 'ratio', 'SQLite best', 'ratio', 'server CPU', 'load CPU'])
await printSpeed('pushes/s: 64 stores, 1 event each', { stores: 64, events: 1 })
await printSpeed('events/s: 8 stores, batches of 100', { stores: 8, events: 100 })
console.log(`
Sluice: one push after the other on each socket, a store a socket. group: pushes in a transaction, on average.
SQLite same: the same rows by bench/bench_sqlite.c, in transactions of as many pushes. best: of all sockets' pushes.
CPU: of one core. * the load generator had hardly any left, so that the server could do more.`)
process.exit(0)
