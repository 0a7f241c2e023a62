// Faults from outside, against the real binary: `node tests/fault/run.mjs [--only TEXT] [--rounds N] [--seed N]`,
// with the binary in SLUICE_BIN (default: build/sluice of this checkout).

import { runTests } from '../lib/runner.mjs'
import { sanitizer, slowness, sluiceBinary } from '../lib/server.mjs'
import { tests as kill } from './kill.mjs'

console.log(`${sluiceBinary}${sanitizer === undefined ? '' : `, built with the ${sanitizer} sanitizer`}`)
await runTests([...kill], { slowness })
