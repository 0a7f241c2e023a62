// The command line as a test starts it: `sluice VERB …` with its input, its output and its end. What it
// started ends with the test, by its pid.

import { spawn } from 'node:child_process'
import net from 'node:net'
import { Transform } from 'node:stream'

import { until, within } from '../lib/runner.mjs'
import { sluiceBinary } from '../lib/server.mjs'

// What only a bug prints.
const alarms = /Sanitizer|runtime error:|assertion failed/

class Program {
  output = ''
  errors = ''

  constructor(child, what) {
    this.child = child
    this.what = what
    child.stdout?.setEncoding('utf8').on('data', (text) => (this.output += text))
    child.stderr?.setEncoding('utf8').on('data', (text) => (this.errors += text))
    child.stdin?.on('error', () => {}) // it ended before it read everything
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve({ code, signal }))
    })
  }

  get lines() {
    return this.output.split('\n').slice(0, -1)
  }

  signal(name) {
    this.child.kill(name)
  }

  write(text) {
    this.child.stdin.write(text)
  }

  /** Its whole output and its exit code. */
  async end() {
    const { code, signal } = await within(60_000, `the end of ${this.what}`, this.ended)
    const { output, errors } = this
    if (alarms.test(errors)) throw new Error(`${this.what} reported:\n${errors}`)
    return { code, signal, output, errors, lines: this.lines }
  }

  async hasLines(count) {
    await until(`${count} lines of ${this.what}, which said: ${this.errors}`, () => this.lines.length >= count)
  }

  async hasSaid(pattern) {
    await until(`${pattern} from ${this.what}`, () => pattern.test(this.errors) || pattern.test(this.output))
  }
}

const start = (t, command, args, options) => {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options })
  const program = new Program(child, `${args.slice(0, 2).join(' ')}`)
  t.after(async () => {
    child.stdout?.resume()
    child.kill('SIGKILL')
    await program.ended
  })
  return program
}

/** `sluice ARGS`, which runs on. */
export const startSluice = (t, args, options) => start(t, sluiceBinary, args.map(String), options)

/** `sluice ARGS` to its end: `{ code, signal, output, errors, lines }`. */
export const sluice = async (t, args, input = '') => {
  const program = startSluice(t, args)
  program.child.stdin.end(input)
  return program.end()
}

/** A command of the shell, in which $SLUICE is the program. */
export const startShell = (t, command, env = {}) =>
  start(t, 'bash', ['-c', command], { env: { ...process.env, SLUICE: sluiceBinary, ...env } })

/** The same on a terminal of its own (script from bsdutils): what the terminal shows is the output. */
export const startOnTerminal = (t, command, env = {}) =>
  start(t, 'script', ['-qefc', command, '/dev/null'], {
    env: { ...process.env, SLUICE: sluiceBinary, TERM: 'xterm', SHELL: '/bin/bash', ...env },
  })

/**
 * An address that stays the same while servers come and go: it forwards to `target.port`, or cuts when that
 * is undefined. `target.bytesMax` cuts each connection after so many bytes from the server; `target.pieceMs`
 * lets each piece wait.
 */
export const startForwarder = async (t, target) => {
  const sockets = new Set()
  const forward = (socket) => {
    const onward = net.connect(target.port, '127.0.0.1')
    let bytes = 0
    const cut = () => {
      socket.destroy()
      onward.destroy()
      sockets.delete(socket)
    }
    sockets.add(socket)
    for (const end of [socket, onward]) end.on('error', cut).on('close', cut)
    const count = new Transform({
      transform(piece, _, done) {
        bytes += piece.length
        if (bytes > (target.bytesMax ?? Infinity)) cut()
        else if (target.pieceMs === undefined) done(undefined, piece)
        else setTimeout(done, target.pieceMs, undefined, piece)
      },
    })
    socket.pipe(onward).pipe(count).pipe(socket)
  }
  const forwarder = net.createServer((socket) => {
    if (target.port === undefined) socket.on('error', () => {}).destroy()
    else forward(socket)
  })
  await new Promise((resolve) => forwarder.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => forwarder.close(resolve))
  })
  return forwarder.address().port
}
