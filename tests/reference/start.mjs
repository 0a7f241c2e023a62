#!/usr/bin/env node
// Serves the reference backend, @livestore/sync-cf 0.4.0, by workerd on 127.0.0.1:
//
//     npm --prefix tests/reference ci
//     node tests/reference/start.mjs [--port 0] [--data DIRECTORY] [--log]
//
// Prints "reference: pid N, listening on http://127.0.0.1:PORT" once it answers. Without --data its
// storage is a directory that goes with it. It ends at a signal, or when the process that started it is
// gone. --log passes on what the worker logs (a lot).

import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { build } from 'esbuild'
import workerd from 'workerd'

const here = path.dirname(fileURLToPath(import.meta.url))
const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    data: { type: 'string' },
    log: { type: 'boolean', default: false },
  },
})

const scratch = mkdtempSync(path.join(tmpdir(), 'sluice-reference-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))

const bundle = () =>
  build({
    entryPoints: [path.join(here, 'worker.mjs')],
    outfile: path.join(scratch, 'worker.bundle.mjs'),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['cloudflare:*', 'node:*'],
    logLevel: 'error',
  })

/** Starts workerd, which goes when this process goes, and resolves to its port. */
const serve = (data) =>
  new Promise((resolve, reject) => {
    copyFileSync(path.join(here, 'config.capnp'), path.join(scratch, 'config.capnp'))
    const words = ['serve', path.join(scratch, 'config.capnp'), '--experimental', '--control-fd=3']
    words.push(`--socket-addr=http=127.0.0.1:${options.port}`, `--directory-path=data=${data}`)
    const log = options.log ? 'inherit' : 'ignore'
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', workerd.default, ...words], {
      stdio: ['ignore', log, log, 'pipe'],
    })
    let control = ''
    child.stdio[3].setEncoding('utf8').on('data', (text) => {
      control += text
      const found = /"event":"listen","socket":"http","port":(\d+)/.exec(control)
      if (found !== null) resolve({ child, port: Number(found[1]) })
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (control === '') reject(new Error(`workerd ended before it listened (${code ?? signal}); see --log`))
      process.exit(1)
    })
  })

const parent = process.ppid
setInterval(() => process.ppid === parent || process.exit(0), 500).unref()
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(0))

const data = path.resolve(options.data ?? path.join(scratch, 'data'))
mkdirSync(data, { recursive: true })
await bundle()
const { child, port } = await serve(data)
console.log(`reference: pid ${child.pid}, listening on http://127.0.0.1:${port}`)
