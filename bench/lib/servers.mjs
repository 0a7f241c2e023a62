// What is measured: Sluice, the reference backend, and the bare loop, each a process on a port of its own.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { cpus } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const here = path.dirname(fileURLToPath(import.meta.url))
export const build = path.resolve(process.env.BENCH_BUILD ?? path.join(here, '../../build-bench'))
const referenceStart = path.join(here, '../../tests/reference/start.mjs')

// On the disk of the build, for /tmp is often none.
const directory = mkdtempSync(path.join(build, 'bench-data-'))
const children = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

export const scratch = () => mkdtempSync(path.join(directory, 'run-'))
export const discard = (folder) => rmSync(folder, { recursive: true, force: true })

/** With two processors or more the load generator keeps to the last one and the bare loop to the first:
 *  the system would often put both on one, as they wake each other. Sluice and the reference, which have
 *  several threads, go where the system puts them. */
const last = cpus().length - 1
export const onLastCpu = (words) => (last > 0 ? ['taskset', '-c', `${last}`, ...words] : words)
const onFirstCpu = (words) => (last > 0 ? ['taskset', '-c', '0', ...words] : words)

/** A process that goes when this one does, however that ends. */
const ending = (words) => ['setpriv', '--pdeathsig', 'KILL', ...words]

/** Starts a server and resolves once it says where it listens: `{ port, pid, startedMs, stop }`. */
const start = async (words, { pattern, cleanUp = () => {} }) => {
  const begin = performance.now()
  const [command, ...rest] = ending(words)
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  let output = ''
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (errors = (errors + text).slice(-2000)))
  const ended = once(child, 'close').finally(() => children.delete(child))
  const found = await new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
      const match = pattern.exec(output)
      if (match !== null) resolve(match)
    })
    child.on('error', reject)
    void ended.then(() => reject(new Error(`${words.join(' ')} ended: ${errors}`)))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
    cleanUp()
    return errors
  }
  const startedMs = performance.now() - begin
  return { port: Number(found.groups.port), pid: Number(found.groups.pid ?? child.pid), startedMs, stop, errors: () => errors }
}

/** Without `data`, in a new directory that goes with it. `wrap`: a command that ends in running it. */
export const startSluice = async ({ data, flags = [], wrap = [], program = 'sluice', tls } = {}) => {
  const folder = data ?? scratch()
  const words = [...wrap, path.join(build, program), 'serve', '--listen', '127.0.0.1:0', '--data', folder]
  words.push('--silent-connection-timeout', '0', '--connections-max', '100000', '--log-level', 'warn', ...flags)
  if (tls !== undefined) words.push('--tls-cert', tls.cert, '--tls-key', tls.key)
  const cleanUp = () => data === undefined && discard(folder)
  const server = await start(words, { pattern: /listening on \S+:(?<port>\d+)\n/, cleanUp })
  return { ...server, data: folder, scheme: tls === undefined ? 'http' : 'https' }
}

export const startReference = async () => {
  const words = [process.execPath, referenceStart]
  const server = await start(words, { pattern: /pid (?<pid>\d+), listening on \S+:(?<port>\d+)\n/ })
  return { ...server, scheme: 'http' }
}

export const startBareLoop = async (flags = []) => {
  const words = onFirstCpu([path.join(build, 'bench/limit_net'), ...flags.map(String)])
  return { ...(await start(words, { pattern: /listening on \S+:(?<port>\d+)\n/ })), scheme: 'http' }
}

/** A certificate for the TLS rows. */
export const makeCertificate = () => {
  const folder = scratch()
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name))
  const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost'.split(' ')
  execFileSync('openssl', [...words, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { key, cert }
}

/** `sluice bench` against a server: what it measured, by name. */
export const load = async (server, line) => {
  const url = `${server.scheme}://127.0.0.1:${server.port}`
  const words = onLastCpu([path.join(build, 'sluice'), 'bench', url, ...line.split(' '), '--pid', `${server.pid}`, '--json'])
  const [command, ...rest] = ending(words)
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text))
  const [code] = await once(child, 'close')
  children.delete(child)
  if (code !== 0) throw new Error(`${line}: ${errors.trim()}`)
  return JSON.parse(output)
}

/** bench/limit_sqlite: SQLite alone, in a file of its own unless `file` is given. */
export const sqliteAlone = (mode, ...words) => {
  const file = mode === 'scan' ? [] : [path.join(scratch(), 'sluice.db')]
  const text = execFileSync(path.join(build, 'bench/limit_sqlite'), [mode, ...file, ...words.map(String)])
  if (file.length > 0) discard(path.dirname(file[0]))
  return JSON.parse(text)
}

export const fileOf = (server) => path.join(server.data, 'sluice.db')
export const fileBytes = (server) => [fileOf(server), `${fileOf(server)}-wal`].reduce((sum, file) => sum + (existsSync(file) ? statSync(file).size : 0), 0)

/** How many transactions the log's events came in: all events of one have its time. */
export const transactionsOf = (server) =>
  Number(execFileSync('sqlite3', ['-readonly', fileOf(server), 'SELECT count(DISTINCT created_at) FROM event']))
