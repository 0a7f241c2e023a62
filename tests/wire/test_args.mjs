// Args are opaque: whatever JSON text goes in comes out, byte for byte, on every way out: the live
// pull of the pusher and of others, the catch-up, over HTTP, and after a restart.
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer, temporaryDirectory } from './lib/server.mjs'
import { SyncSocket, eventText, newStore, pullOverHttp, pushOverHttp } from './lib/sync.mjs'

const data = temporaryDirectory()
let server = await startServer({ 'log-level': 'error' }, { data })

const ARGS = {
  'a number past 2^53': '9007199254740993',
  'a number of 400 digits': '1' + '0'.repeat(400),
  'one with a fraction of zero': '1.0',
  'a fraction with zeros at its end': '0.100',
  'an exponent': '1e21',
  'an exponent with a capital and a plus': '1E+21',
  'an exponent with zeros': '1e007',
  'a tiny number': '1e-400',
  'a huge number': '1e400',
  'minus zero': '-0',
  'minus zero with a fraction': '-0.0',
  'null': 'null',
  'true': 'true',
  'an empty string': '""',
  'an empty object': '{}',
  'an empty array': '[]',
  'white space inside': '{ "a" :\t[ 1 ,\r\n 2 ] , "b":{ } }',
  'an escaped slash': '"a\\/b"',
  'U+2028 and U+2029 with escapes': '"\\u2028\\u2029"',
  'U+2028 and U+2029 raw': '"\u2028\u2029"',
  'letters with needless escapes': '"\\u0041\\u00e9\\u4E2d"',
  'escapes in either case': '"\\u00aB\\u00Ab"',
  'a surrogate pair with escapes': '"\\ud83d\\ude00"',
  'a character of four bytes': '"😀"',
  'a lone high surrogate': '"a\\ud800b"',
  'a lone low surrogate': '"\\uDFFF"',
  'surrogates the wrong way round': '"\\ude00\\ud83d"',
  'all short escapes': '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
  'a NUL': '"\\u0000"',
  'DEL, raw': '"\u007f"',
  'a byte order mark inside': '"\ufeff"',
  'a noncharacter': '"\uffff\ufdd0"',
  'combining characters, not composed': '"e\u0301"',
  'keys in no order': '{"z":1,"a":2,"10":3,"9":4}',
  'keys with escapes': '{"\\u0061\\n":1,"":2}',
  'keys that code might trip over': '{"__proto__":1,"constructor":2,"toString":3,"args":4,"seqNum":"x"}',
  'text that looks like the protocol': '{"_tag":"Exit","requestId":1,"values":[],"eventEncoded":{}}',
  'text that looks like SQL': '"\'); DROP TABLE event; --"',
  'printf directives': '"%s%n%x%%"',
  'a deep nesting': '['.repeat(120) + ']'.repeat(120),
  'a long string': JSON.stringify('0123456789'.repeat(20_000)),
  'every character of Latin-1': JSON.stringify(
    Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)).join(''),
  ),
  'base64, as encrypted args are': JSON.stringify(Buffer.alloc(3000, 0xa7).toString('base64')),
}
const texts = Object.values(ARGS)
const events = texts.map((args, i) => eventText({ seq: i + 1, args }))
const storeId = newStore('args')

function isExact(chunks) {
  assert.equal(chunks.events.length, texts.length)
  Object.entries(ARGS).forEach(([name, text], i) => {
    assert.equal(chunks.events[i].argsText, text, name)
  })
}

test('on the live pulls of the pusher and of another, in both dialects', async () => {
  const pusher = await SyncSocket.open(server, storeId, { dialect: 'v4' })
  const other = await SyncSocket.open(server, storeId, { dialect: 'v3' })
  const pulls = [pusher.pull(), other.pull()]
  for (const event of events) {
    assert.ok((await pusher.push([event]).done()).ok)
  }
  for (const pull of pulls) {
    await pull.untilEvent(events.length)
    isExact(pull)
  }
  pusher.close()
  other.close()
})

test('pushed as one batch over HTTP', async () => {
  const whole = newStore('args')
  assert.ok((await pushOverHttp(server, whole, events)).exit.ok)
  isExact((await pullOverHttp(server, whole)).chunks)
})

async function isExactInTheLog() {
  const socket = await SyncSocket.open(server, storeId)
  const pull = socket.pull({ live: false })
  assert.ok((await pull.done()).ok)
  isExact(pull)
  isExact((await pullOverHttp(server, storeId)).chunks)
  socket.close()
}

test('on catch-ups over WebSocket and HTTP', isExactInTheLog)

test('a push that is sent again is known by its args, whatever their form', async () => {
  assert.ok((await pushOverHttp(server, storeId, events)).exit.ok)
  await isExactInTheLog()
})

test('names and ids come back as the same text', async () => {
  const own = newStore('names')
  const values = ['ü漢😀', '"\\/', '\u0000\u001f\u007f', '\u2028\u2029', ' ', '%s', 'e\u0301', '\uffff']
  const named = values.map((value, i) =>
    eventText({ seq: i + 1, name: value, client: value, session: value }),
  )
  assert.ok((await pushOverHttp(server, own, named)).exit.ok)
  const { chunks } = await pullOverHttp(server, own)
  for (const [i, value] of values.entries()) {
    const { name, clientId, sessionId } = chunks.events[i]
    assert.deepEqual([name, clientId, sessionId], [value, value, value])
  }
})

test('names and ids may be sent with any escapes', async () => {
  const own = newStore('names')
  const event =
    '{"name":"\\u0061\\ud83d\\ude00\\/","seqNum":1,"parentSeqNum":0,"clientId":"\\u00fc","sessionId":"\\n"}'
  assert.ok((await pushOverHttp(server, own, [event])).exit.ok)
  const { chunks } = await pullOverHttp(server, own)
  const { name, clientId, sessionId } = chunks.events[0]
  assert.deepEqual([name, clientId, sessionId], ['a😀/', 'ü', '\n'])
})

test('args that are absent come back as null, live and later', async () => {
  const own = newStore('absent')
  const socket = await SyncSocket.open(server, own)
  const live = socket.pull()
  assert.ok((await socket.push([eventText({ seq: 1, args: null })]).done()).ok)
  assert.equal(live.events[0].argsText, 'null')
  assert.equal((await pullOverHttp(server, own)).chunks.events[0].argsText, 'null')
  assert.ok((await socket.push([eventText({ seq: 1, args: 'null' })]).done()).ok, 'the same event')
  socket.close()
})

test('white space around args is no part of them', async () => {
  const own = newStore('space')
  assert.ok((await pushOverHttp(server, own, [eventText({ seq: 1, args: ' \t\r\n{ "a": 1 } \n' })])).exit.ok)
  assert.equal((await pullOverHttp(server, own)).chunks.events[0].argsText, '{ "a": 1 }')
})

test('after a restart, and creation times too', async () => {
  const before = (await pullOverHttp(server, storeId)).chunks
  await server.stop()
  server = await startServer({ 'log-level': 'error' }, { data })
  await isExactInTheLog()
  const after = (await pullOverHttp(server, storeId)).chunks
  assert.equal(after.backendId, before.backendId)
  assert.deepEqual(after.events, before.events)
})

test('the server ends well after all of this', () => server.stop())
