// Faults from outside, against the real binary: `node tests/fault/run.mjs [--only TEXT] [--rounds N] [--seed N]`,
// with the binary in SLUICE_BIN (default: build/sluice of this checkout).

import { runTests } from '../lib/runner.mjs'
import { sanitizer, slowness, sluiceBinary } from '../lib/server.mjs'
import { tests as abuse } from './abuse.mjs'
import { tests as badData } from './bad_data.mjs'
import { tests as diskFull } from './disk_full.mjs'
import { tests as drain } from './drain.mjs'
import { tests as kill } from './kill.mjs'
import { tests as slowReaders } from './slow_readers.mjs'

console.log(`${sluiceBinary}${sanitizer === undefined ? '' : `, built with the ${sanitizer} sanitizer`}`)
await runTests([...kill, ...diskFull, ...badData, ...slowReaders, ...abuse, ...drain], { slowness })
