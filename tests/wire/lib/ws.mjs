// ws: a small WebSocket client (RFC 6455) that can also do everything wrong: any frame header, any
// bytes. What the server sends is checked strictly.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { HttpClient, buildRequest } from './http.mjs'
import { Wire } from './wire.mjs'

export const OP = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 }

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class HandshakeRefused extends Error {
  constructor(response) {
    super(`the handshake was refused: ${response.status} ${response.text}`)
    this.response = response
  }
}

// A frame's bytes. `announce` is a length that the header claims in place of the payload's own;
// `lengthBytes` (0, 2 or 8) chooses the form of the length.
export function buildFrame(
  opcode,
  payload = '',
  { fin = true, rsv = 0, mask = randomBytes(4), announce = null, lengthBytes = null } = {},
) {
  const body = Buffer.from(payload)
  const length = announce ?? body.length
  const form = lengthBytes ?? (length < 126 ? 0 : length < 65536 ? 2 : 8)
  const head = Buffer.alloc(2 + form)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (mask ? 0x80 : 0) | (form === 0 ? Number(length) : form === 2 ? 126 : 127)
  if (form === 2) {
    head.writeUInt16BE(Number(length), 2)
  } else if (form === 8) {
    head.writeBigUInt64BE(BigInt(length), 2)
  }
  if (!mask) {
    return Buffer.concat([head, body])
  }
  const masked = Buffer.from(body)
  for (let i = 0; i < masked.length; i++) {
    masked[i] ^= mask[i & 3]
  }
  return Buffer.concat([head, mask, masked])
}

export const handshakeHeaders = (key = randomBytes(16).toString('base64')) => ({
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-version': '13',
  'sec-websocket-key': key,
})

export class WsClient {
  constructor(wire) {
    this.wire = wire
    this.messages = [] // texts that nobody has taken yet
    this.pings = [] // payloads
    this.pongs = []
    this.close = null // { code, reason } of the server's close frame
    this.answersPings = true
    this.onMessage = null // takes each text in place of `messages`
    this.partial = []
    wire.onBytes = () => this.#parse()
  }

  static async connect(server, target, { headers = {}, ca = null } = {}) {
    const wire = await Wire.connect({ port: server.port, ca })
    const key = randomBytes(16).toString('base64')
    wire.write(buildRequest('GET', target, { headers: { ...handshakeHeaders(key), ...headers } }))
    const response = await new HttpClient(wire).response({ cors: false })
    if (response.status !== 101) {
      wire.destroy()
      throw new HandshakeRefused(response)
    }
    const accept = createHash('sha1')
      .update(key + GUID)
      .digest('base64')
    assert.equal(response.headers['sec-websocket-accept'], accept)
    assert.equal(response.headers.upgrade.toLowerCase(), 'websocket')
    const client = new WsClient(wire)
    client.#parse() // frames that came with the handshake
    return client
  }

  #parse() {
    for (;;) {
      const bytes = this.wire.bytes
      if (bytes.length < 2) {
        return
      }
      assert.equal(bytes[1] & 0x80, 0, 'a server does not mask')
      assert.equal(bytes[0] & 0x70, 0, 'no reserved bits')
      const short = bytes[1] & 0x7f
      const headBytes = short === 126 ? 4 : short === 127 ? 10 : 2
      if (bytes.length < headBytes) {
        return
      }
      const length =
        short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short
      if (bytes.length < headBytes + length) {
        return
      }
      const payload = Buffer.from(bytes.subarray(headBytes, headBytes + length))
      const first = bytes[0]
      this.wire.skip(headBytes + length)
      this.#frame(first & 0x0f, (first & 0x80) !== 0, payload)
    }
  }

  #frame(opcode, fin, payload) {
    assert.equal(this.close, null, 'nothing follows a close frame')
    if (opcode >= 8) {
      assert.ok(fin && payload.length <= 125, 'a control frame is short and whole')
    }
    switch (opcode) {
      case OP.text:
      case OP.continuation:
        assert.equal(this.partial.length > 0, opcode === OP.continuation, 'fragments')
        this.partial.push(payload)
        if (fin) {
          const text = strictUtf8.decode(Buffer.concat(this.partial))
          this.partial = []
          if (this.onMessage) {
            this.onMessage(text)
          } else {
            this.messages.push(text)
          }
        }
        break
      case OP.ping:
        this.pings.push(payload)
        if (this.answersPings) {
          this.sendFrame(OP.pong, payload)
        }
        break
      case OP.pong:
        this.pongs.push(payload)
        break
      case OP.close:
        this.close = {
          code: payload.length >= 2 ? payload.readUInt16BE(0) : 1005,
          reason: strictUtf8.decode(payload.subarray(2)),
        }
        break
      default:
        assert.fail(`the server sent a frame of opcode ${opcode}`)
    }
  }

  sendFrame(opcode, payload, options) {
    this.wire.write(buildFrame(opcode, payload, options))
  }

  sendText(text) {
    this.sendFrame(OP.text, text)
  }

  sendBytes(bytes) {
    this.wire.write(bytes)
  }

  async nextMessage(what = 'a message') {
    await this.wire.until(() => this.messages.length > 0, what)
    return this.messages.shift()
  }

  // The server's close frame; 1006 when the connection ended without one.
  async untilClosed(what = 'the server closes') {
    await this.wire.until(() => this.close || this.wire.closed, what, { evenClosed: true })
    return this.close ?? { code: 1006, reason: '' }
  }

  goodbye(code = 1000) {
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    this.sendFrame(OP.close, payload)
  }

  destroy() {
    this.wire.destroy()
  }
}
